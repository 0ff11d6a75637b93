"""The commands, one file each.

Open ``transcribe.py`` first.
"""
