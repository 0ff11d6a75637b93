"""audio-transcriber: recordings dropped into a folder become text."""

from pathlib import Path

#: The one place that says which version this is; ``setup.cfg`` reads it from here.
__version__ = "0.1.0"
#: The folder that holds the program: ``config.yaml``, ``models/`` and the lock files are in it.
PROJECT_ROOT = Path(__file__).resolve().parent.parent
