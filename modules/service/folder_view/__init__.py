"""The shared folder as a table: what each recording's state is, read from the files alone.

Open ``report.py`` first.
"""
