"""`lorascope completion`: a completion script for the user's shell."""

from __future__ import annotations

import argparse

_SHELLS = ("bash", "zsh", "tcsh", "fish")

_EPILOG = """\
examples:
  eval "$(lorascope completion bash)"                       for this shell
  lorascope completion bash > ~/.local/share/bash-completion/completions/lorascope
  lorascope completion zsh > ~/.zfunc/_lorascope            with ~/.zfunc in fpath
  lorascope completion fish > ~/.config/fish/completions/lorascope.fish"""

_MODELS = {
    "bash": """\
_lorascope_models() {{
  compgen -W "{names}" -- "$1"
  compgen -f -- "$1"
}}""",
    "zsh": """\
_lorascope_models() {{
  _alternative 'examples:built-in example:({names})' 'files:file:_files'
}}""",
}
"""Functions that complete MODEL by the names of the built-in examples and by files."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "completion",
        help="a completion script for your shell",
        description="Print a script that completes lorascope's commands, options and their values;"
        "\nMODEL by files and, but for tcsh, by the built-in examples. fish needs a recent shtab.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script.

    Raises:
        MissingDependencyError: The installed shtab does not know the shell.
    """
    import shtab

    from lorascope.checking import RULES
    from lorascope.cli import output
    from lorascope.cli.parser import build_parser
    from lorascope.core.errors import MissingDependencyError
    from lorascope.source.examples import list_examples

    if options.shell not in shtab.SUPPORTED_SHELLS:
        raise MissingDependencyError(
            f"The installed shtab {shtab.__version__} cannot write completions for"
            f" {options.shell}.",
            "Install a newer one with: pip install --upgrade shtab",
        )
    parser, commands = build_parser()
    names = " ".join(example.name for example in list_examples())
    models = {
        **shtab.FILE,
        **dict.fromkeys(_MODELS, "_lorascope_models"),
        "fish": f"{names} (__fish_complete_path (commandline -ct))",
    }
    kinds = {
        "MODEL": models,
        "PATH": models,  # the last one may be MODEL
        "FILE|DIR": shtab.FILE,
        "FILE": shtab.FILE,
        "DIR": shtab.DIRECTORY,
    }
    for action in commands["rule"]._actions:  # noqa: SLF001 - as below
        if action.metavar == "RULE":
            action.choices = [name for rule in RULES for name in (rule.code, rule.name)]
    for action in commands["diff"]._actions:  # noqa: SLF001 - as below
        if action.dest in ("a", "b"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # as below
    for command in commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse has no public list of them
            if isinstance(action.metavar, str) and action.metavar in kinds:
                # shtab reads this attribute off argparse's own actions.
                action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
    preamble = _MODELS.get(options.shell, "").format(names=names)
    output.write(shtab.complete(parser, shell=options.shell, preamble=preamble))
    return 0
