"""What can be set: keys, defaults, limits, ``config.yaml``, settings of one recording.

Open ``schema.py`` first.
"""
