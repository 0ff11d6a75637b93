"""Summaries of finished texts by a language model that the operator names.

Open ``summarizer.py`` first.
"""
