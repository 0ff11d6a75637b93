"""Words, segments, chunks, speakers, and the quality of the text. No files, no clocks.

Open ``model.py`` first.
"""
