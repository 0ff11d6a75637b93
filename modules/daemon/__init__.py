"""The daemon process: wiring, signals, start and stop, periodic duties, health.

Open ``wiring.py`` first.
"""
