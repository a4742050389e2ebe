"""`lorascope rule`: what a rule of `lorascope check` looks for, why, and what to write instead."""

from __future__ import annotations

import argparse

from lorascope.cli import values
from lorascope.cli.usage import UsageError, did_you_mean, quoted

_EPILOG = """\
examples:
  lorascope rule                 all rules
  lorascope rule LT011           one of them"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "rule",
        help="explain a rule of check, or list them",
        description="Explain a rule of lorascope check: what it looks for, why that is bad, an\n"
        "example, and what to write instead. Without RULE: list all of them.",
        epilog=_EPILOG,
    )
    parser.add_argument("rule", metavar="RULE", nargs="?", help="its code or name")
    parser.add_argument(
        "--width", type=values.width, metavar="N", help="characters a line (default: terminal's)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the page of a rule, or the list.

    Raises:
        UsageError: No rule is called so.
    """
    from lorascope.checking import RULES
    from lorascope.cli import output
    from lorascope.report.rule_text import rule_text, rules_text

    width = output.text_width(options.width)
    if options.rule is None:
        output.show(rules_text(RULES, width))
        return 0
    wanted = options.rule.casefold()
    for rule in RULES:
        if wanted in (rule.code.casefold(), rule.name):
            output.show(rule_text(rule, width))
            return 0
    known = [name for rule in RULES for name in (rule.code, rule.name)]
    raise UsageError(
        f"lorascope rule: no rule is called {quoted(options.rule)}."
        f"{did_you_mean(options.rule, known)}",
        "List them with: lorascope rule",
    )
