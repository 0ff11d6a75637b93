"""What a client can ask for, over any protocol: transcribe, status, delete, pause, retry.

Open ``service.py`` first.
"""
