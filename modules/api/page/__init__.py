"""What the page for people asks for: the list of recordings, one with its text, words in all texts,
the sound, a login.

Endpoints are in ``tasks.py``, ``search.py``, ``sound.py`` and ``login.py``. The page
itself is in ``web/``.
"""
