"""What a client can ask for, whatever it speaks: transcribe, status, delete, pause, retry.

Open ``service.py`` first.
"""
