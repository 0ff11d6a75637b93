"""One child process on this machine.

Open ``executor.py`` first.
"""
