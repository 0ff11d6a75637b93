"""Messages about finished jobs: webhooks, and the outbox that keeps them until they arrive.

Open ``outbox.py`` first.
"""
