"""What was said: words, segments, chunks, speakers, and how sure we are. No files, no clocks.

Open ``model.py`` first.
"""
