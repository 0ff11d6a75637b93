"""What leaves when a job is done: webhooks, the hand-over, and the outbox that keeps them.

Open ``outbox.py`` first.
"""
