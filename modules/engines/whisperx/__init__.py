"""Whisper by CTranslate2, word times by wav2vec2.

Open ``engine.py`` first.
"""
