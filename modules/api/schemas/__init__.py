"""Requests and answers as pydantic models; the OpenAPI document is made of them.

Open ``requests.py`` first.
"""
