"""The commands of ``transcriber.py``: one file a command, and what they share.

Each command is ``run(options) -> exit code``. ``parser`` imports them only when they are called.
Every message goes through ``gettext``; ``make messages`` keeps the catalogue of translations.
"""
