"""The control blueprint: transcribe, status, result, queue, manual, health.

Open ``blueprint.py`` first.
"""
