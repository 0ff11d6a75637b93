"""Who speaks when. Only the child imports it.

Open ``diarizer.py`` first.
"""
