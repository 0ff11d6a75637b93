"""The interface of whisper-asr-webservice, so that Bazarr, Speakr and others find what they know.

Open ``routes.py`` first.
"""
