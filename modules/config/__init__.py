"""The configuration: keys, defaults, limits, ``config.yaml``, settings of one recording.

Open ``schema.py`` first.
"""
