"""Speech to text: what every engine offers, and those that there are. Only the child imports it.

Open ``base.py`` first.
"""
