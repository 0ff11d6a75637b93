"""The commands that look after the installation: its places, its models, its health."""

from __future__ import annotations

from gettext import gettext as _
from typing import Any

from modules.cli.adding import add_command, command_of
from modules.cli.shells import SHELLS, called
from modules.cli.terminal import help_texts


def add_upkeep(commands: Any) -> None:
    """Add them, in the order of the help."""
    _add_small_ones(commands)
    _add_models(commands)
    _add_config_command(commands)
    _add_completion(commands)


def _add_small_ones(commands: Any) -> None:
    purpose = _("check that everything is in place")
    add_command(commands, "doctor", purpose, help_texts.DOCTOR, command_of("doctor"))
    purpose = _("start no further file until `resume`")
    add_command(commands, "pause", purpose, help_texts.PAUSE, command_of("pause", "pause"))
    add_command(commands, "resume", _("go on after `pause`"), "", command_of("pause", "resume"))


def _add_models(commands: Any) -> None:
    purpose = _("show which models are here; fetch, remove or check them")
    command = add_command(commands, "models", purpose, help_texts.MODELS, command_of("models"))
    command.add_argument("--json", action="store_true", help=_("for programs"))
    actions = command.add_subparsers(title=_("commands"), metavar=_("COMMAND"))
    purpose = _("fetch a model, unless it is here")
    get = add_command(actions, "get", purpose, help_texts.MODELS_GET, command_of("models", "get"))
    get.add_argument("name", metavar=_("NAME"), help=_("such as small or large-v3"))
    purpose = _("remove a model from the models folder")
    gone = add_command(actions, "remove", purpose, "", command_of("models", "delete"))
    gone.add_argument("name", metavar=_("NAME"))
    gone.add_argument("--force", action="store_true", help=_("even the one that is configured"))
    purpose = _("compare the files of models with their checksums")
    check = add_command(actions, "verify", purpose, "", command_of("models", "check"))
    check.add_argument("name", nargs="?", metavar=_("NAME"), help=_("default: every model"))


def _add_config_command(commands: Any) -> None:
    purpose = _("show where the configuration and the folders are")
    command = add_command(commands, "config", purpose, help_texts.CONFIG, command_of("config"))
    command.add_argument(
        "--write",
        action="store_true",
        help=_("write a configuration with comments, if there is none"),
    )


def _add_completion(commands: Any) -> None:
    purpose = _("print a script that completes commands by Tab")
    command = add_command(commands, "completion", purpose, "", command_of("completion"))
    command.epilog = _(help_texts.COMPLETION).format(**called())
    command.add_argument("shell", choices=SHELLS, metavar=_("SHELL"), help=", ".join(SHELLS))
