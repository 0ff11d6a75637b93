"""Where work runs: what the runner needs of an executor, and the protocol with the child.

Open ``base.py`` first.
"""
