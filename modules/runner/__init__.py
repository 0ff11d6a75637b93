"""One job from the queue to its published result: runs, failures, outages, retries.

Open ``runner.py`` first. What follows from an error is decided in ``failure_policy.py``; what a
reader is told of it is in ``recordings/error_texts.py``.
"""
