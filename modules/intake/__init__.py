"""How files and requests become jobs, and what becomes of an earlier run's jobs at start.

Open ``intake.py`` first.
"""
