"""What happens in the folder: events, rescans, and when a file is complete.

Open ``watcher.py`` first.
"""
