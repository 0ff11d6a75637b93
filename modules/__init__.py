"""audio-transcriber: recordings dropped into a folder become text."""

from pathlib import Path

#: The one place that says which version this is; ``setup.cfg`` reads it from here.
__version__ = "0.1.0"
#: ``modules`` in a checkout, ``audio_transcriber`` once installed (see ``setup.py``). Whatever is
#: imported or started by a name in a string takes the name from here.
PACKAGE = __name__
PACKAGE_FOLDER = Path(__file__).resolve().parent
#: The folder that the package is in: of a checkout its root, with the lock files.
PROJECT_ROOT = PACKAGE_FOLDER.parent
IS_INSTALLED = PACKAGE != "modules"
#: What a user types: the start script of a checkout, the command of an installed copy.
PROGRAM = "audio-transcriber" if IS_INSTALLED else "transcriber.py"
