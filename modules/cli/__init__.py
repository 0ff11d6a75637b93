"""The command line: commands, checks, the view of the folder, output to the terminal.

Open ``parser.py`` first. Each command is ``run(options) -> exit code``, and is imported when it is
called. Every message goes through ``gettext``; ``make messages`` keeps the translations.
"""
