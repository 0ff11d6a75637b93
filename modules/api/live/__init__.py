"""Live sessions over WebSockets, and for Wyoming over TCP.

Open ``gate.py`` first.
"""
