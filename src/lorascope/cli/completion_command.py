"""`lorascope completion`: a completion script for the user's shell."""

from __future__ import annotations

import argparse

_SHELLS = ("bash", "zsh", "tcsh")

_EPILOG = """\
examples:
  eval "$(lorascope completion bash)"                       for this shell
  lorascope completion bash > ~/.local/share/bash-completion/completions/lorascope
  lorascope completion zsh > ~/.zfunc/_lorascope            with ~/.zfunc in fpath"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "completion",
        help="a completion script for your shell",
        description="Print a script that completes lorascope's commands, options and their values.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from lorascope.cli import output
    from lorascope.cli.parser import build_parser

    parser, commands = build_parser()
    kinds = {"MODEL": shtab.FILE, "FILE|DIR": shtab.FILE, "DIR": shtab.DIRECTORY}
    for command in commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse has no public list of them
            if isinstance(action.metavar, str) and action.metavar in kinds:
                # shtab reads this attribute off argparse's own actions.
                action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
    output.write(shtab.complete(parser, shell=options.shell))
    return 0
