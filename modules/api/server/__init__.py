"""waitress, and who may come in: keys, limits, origins, sizes, decided at the headers.

Open ``server.py`` first.
"""
