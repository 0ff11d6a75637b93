"""Words in the texts of all recordings: a rebuildable index of stems, and what is looked up in it.

Open ``index.py`` first.
"""
