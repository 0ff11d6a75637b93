"""Live sessions: sound that comes while people speak, kept, heard at once, and landed at the end.

Open ``sessions.py`` first.
"""
