"""A job from its arrival to its end: states, the heapq scheduler, events, estimates, the index.

Open ``job.py`` first.
"""
