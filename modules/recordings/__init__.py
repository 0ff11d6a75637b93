"""Every file beside a recording, the share, ``manual/`` and the lock.

Open ``store.py`` first. ``error_texts.py`` has what stands in ``NAME.error.txt``.
"""
