"""The page for people: what the browser gets. What it asks for is in ``api/page/``.

Open ``files.py`` first. The browser runs what is in ``static/`` as it is; nothing is built.
"""
