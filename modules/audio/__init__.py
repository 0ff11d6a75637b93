"""Sound: media opened and decoded, speech found, cut into chunks. Only the child runs it.

Open ``recording.py`` first: the one place where media is opened.
"""
