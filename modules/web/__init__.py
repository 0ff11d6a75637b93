"""The page for people: lists and plays recordings, shows their texts.

Open ``page.py`` first. What the browser runs is in ``static/``, as it is; nothing is built.
"""
