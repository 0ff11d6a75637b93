"""Files on disk: written whole, opened without following links, moved without a loss.

Open ``atomic.py`` first.
"""
