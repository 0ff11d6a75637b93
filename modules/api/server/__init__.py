"""The waitress server, and which requests it accepts: keys, origins, sizes, at the headers.

Open ``server.py`` first.
"""
