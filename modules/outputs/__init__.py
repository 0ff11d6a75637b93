"""The files that are published: txt, srt, vtt, tsv, json, docx and ``.result``.

Open ``render.py`` first.
"""
