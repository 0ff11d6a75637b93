"""Speech to text: the interface of an engine, and the engines. Only the child imports it.

Open ``base.py`` first.
"""
