"""What the WhisperX process gives up before it opens the first recording.

Open ``confine.py`` first.
"""
