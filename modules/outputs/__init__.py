"""The files that are published: txt, srt, vtt, tsv, json, docx, md and ``.result``.

Open ``formats.py`` first: its table has a row for each format.
"""
