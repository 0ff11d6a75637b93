"""Speech to text as OpenAI's API has it.

Open ``routes.py`` first.
"""
