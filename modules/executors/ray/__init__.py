"""Workers on other machines: Ray actors, each with a local executor and its sandboxed child.

``pool.py`` is the daemon's side, ``link.py`` the process in which Ray runs, ``node_worker.py`` what
runs in the actor. Open ``pool.py`` first.
"""
