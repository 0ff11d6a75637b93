"""Every file beside a recording, the share, ``manual/`` and the lock.

Open ``store.py`` first.
"""
