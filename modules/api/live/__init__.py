"""Live sessions over WebSockets: ``/live`` and its messages.

Open ``gate.py`` first.
"""
