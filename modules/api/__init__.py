"""HTTP without logic of its own: Flask blueprints, their schemas, the waitress server.

Open ``app.py`` first.
"""
