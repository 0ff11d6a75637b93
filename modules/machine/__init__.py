"""This machine: its processor, its limit of memory, how memory is kept and given back.

Open ``processor.py`` first.
"""
