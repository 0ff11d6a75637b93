"""What ``doctor`` checks: the machine, the program, the folders, the service.

Open ``findings.py`` first.
"""
