"""Uploads as clients send them: parts of a form, names in any code page, files without a name.

Open ``multipart.py`` first.
"""
