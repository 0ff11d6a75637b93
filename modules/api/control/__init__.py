"""The control blueprint: transcribe, status, result, queue, manual, health.

Endpoints are in ``transcribe.py``, ``queue.py``, ``manual.py`` and ``health.py``; open the one they
belong to. ``blueprint.py`` puts them together.
"""
