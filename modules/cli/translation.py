"""The language of the command line: English, or Russian where the environment says so.

Each message is looked up when it is said: ``from gettext import gettext as _``; what was made
elsewhere, such as an error, by ``modules.messages.in_locale``. argparse asks the same catalogue for
its own words. The log and JSON stay English: programs read them.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping

from modules.messages import CATALOGUES, DOMAIN, noted

#: In this order, the first that is set. Only then LANGUAGE has a say, as with other programs.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose(environment: Mapping[str, str]) -> None:
    """Have messages looked up from now on, unless the plain locale was asked for."""
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "C")
    plain = locale.partition(".")[0] in ("C", "POSIX")
    gettext.bindtextdomain(DOMAIN, str(CATALOGUES))
    gettext.textdomain("messages" if plain else DOMAIN)


def choose_wished(language: str) -> None:
    """The same by the setting ``messages.language``; ``auto`` leaves what the environment chose."""
    if language == "auto":
        return
    os.environ["LANGUAGE"] = language  # goes before the others for gettext
    gettext.textdomain("messages" if language == "en" else DOMAIN)


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
