"""The language of the command line: English, or Russian where the environment says so.

Each message is looked up when it is said: ``from gettext import gettext as _``. argparse asks the
same catalogue for its own words. The log and JSON stay English: programs read them.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping

from modules import PACKAGE_FOLDER
from modules.errors import noted

DOMAIN = "transcriber"
#: ``LANGUAGE/LC_MESSAGES/transcriber.po``, and what ``make messages`` compiles from it.
CATALOGUES = PACKAGE_FOLDER / "locale"
#: In this order, the first that is set. Only then LANGUAGE has a say, as with other programs.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose(environment: Mapping[str, str]) -> None:
    """Have messages looked up from now on, unless the plain locale was asked for."""
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "C")
    plain = locale.partition(".")[0] in ("C", "POSIX")
    gettext.bindtextdomain(DOMAIN, str(CATALOGUES))
    gettext.textdomain("messages" if plain else DOMAIN)


#: What argparse itself says to a user, in the versions of Python that are supported.
ARGPARSE = (
    noted("usage: "),
    noted("positional arguments"),
    noted("options"),
    noted("show this help message and exit"),
    noted("%(prog)s: error: %(message)s\n"),
    noted("argument %(argument_name)s: %(message)s"),
    noted("unrecognized arguments: %s"),
    noted("not allowed with argument %s"),
    noted("ignored explicit argument %r"),
    noted("the following arguments are required: %s"),
    noted("expected one argument"),
    noted("expected at least one argument"),
    noted("ambiguous option: %(option)s could match %(matches)s"),
    noted("invalid %(type)s value: %(value)r"),
    noted("invalid choice: %(value)r (choose from %(choices)s)"),
    noted("unknown parser %(parser_name)r (choices: %(choices)s)"),
)
