"""Model files: where they are, whether they are whole, how they are put together, what they take.

Open ``locate.py`` first.
"""
