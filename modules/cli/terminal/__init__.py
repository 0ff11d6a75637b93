"""Output to a terminal: tables, progress, wording, translation.

Open ``wording.py`` first.
"""
