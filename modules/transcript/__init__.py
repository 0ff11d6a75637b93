"""Words, segments, chunks, speakers, and the quality of the text. No clocks, no files but one list.

Open ``model.py`` first.
"""
