"""One job from the queue to its published result: runs, failures, outages, retries.

Open ``runner.py`` first.
"""
