"""What the page for people asks for: the list of recordings, one with its text, its sound, a login.

Endpoints are in ``tasks.py``, ``sound.py`` and ``login.py``. The page itself is in ``web/``.
"""
