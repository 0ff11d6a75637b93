"""Uploads that go on after an interruption, by the protocol tus 1.0 (https://tus.io).

Open ``routes.py`` first. What a PATCH may send is decided at its headers: ``server/patches.py``.
"""
