"""The commands that look after the installation: its places, its models, its health."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.cli.adding import add_command, command_of, completes
from modules.cli.shells import SHELLS, called
from modules.cli.terminal import help_texts


def add_upkeep(commands: Any) -> None:
    """Add them, in the order of the help."""
    _add_small_ones(commands)
    _add_models(commands)
    _add_config_command(commands)
    _add_cluster(commands)
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


def _add_cluster(commands: Any) -> None:
    purpose = _("let several machines do the work")
    command = add_command(commands, "cluster", purpose, help_texts.CLUSTER, _help_of_cluster)
    actions = command.add_subparsers(title=_("commands"), metavar=_("COMMAND"), required=True)
    purpose = _("begin a cluster on this machine, until Ctrl-C")
    head = add_command(actions, "head", purpose, "", command_of("cluster", "head"))
    head.add_argument(
        "--host",
        default="127.0.0.1",
        metavar=_("ADDRESS"),
        help=_("of this machine, for the others; default: 127.0.0.1, for none"),
    )
    head.add_argument("--port", type=int, default=6379, metavar=_("PORT"), help=_("default: 6379"))
    purpose = _("give this machine to a cluster, until Ctrl-C")
    join = add_command(actions, "join", purpose, "", command_of("cluster", "join"))
    join.add_argument("head", metavar=_("HEAD"), help=_("such as 10.0.0.1:6379"))
    join.add_argument("--host", metavar=_("ADDRESS"), help=_("of this machine, for the others"))
    for action in (head, join):
        _add_node_options(action)


def _help_of_cluster(options: Namespace) -> int:
    raise AssertionError("argparse asks for head or join")


def _add_node_options(action: Any) -> None:
    action.add_argument(
        "--cpus", type=int, metavar=_("N"), help=_("processors to give; default: all")
    )
    action.add_argument("--gpus", type=int, metavar=_("N"), help=_("graphics cards to give"))
    token = action.add_argument(
        "--token-file",
        type=Path,
        metavar=_("FILE"),
        help=_("the same on every machine; default: ~/.ray/auth_token"),
    )
    models = action.add_argument(
        "--models", type=Path, metavar=_("DIR"), help=_("where the models are on this machine")
    )
    completes(token, "file")
    completes(models, "directory")


def _add_completion(commands: Any) -> None:
    purpose = _("print a script that completes commands by Tab")
    command = add_command(commands, "completion", purpose, "", command_of("completion"))
    command.epilog = _(help_texts.COMPLETION).format(**called())
    command.add_argument("shell", choices=SHELLS, metavar=_("SHELL"), help=", ".join(SHELLS))
