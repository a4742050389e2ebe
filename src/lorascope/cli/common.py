"""Options that several commands share."""

from __future__ import annotations

import argparse

from lorascope.cli import values

MODEL_HELP = (
    "a Hub id (owner/name, optionally @revision), a directory, a config.json, a GGUF file, a"
    " transformers model type, or a built-in example (see lorascope models)"
)
TASK_TYPES = (
    "CAUSAL_LM",
    "SEQ_CLS",
    "TOKEN_CLS",
    "QUESTION_ANS",
    "SEQ_2_SEQ_LM",
    "FEATURE_EXTRACTION",
)
TOWERS = ("text", "vision", "audio", "projector", "encoder", "decoder")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and the options that say how to read it."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_reading(parser).add_argument(
        "--task-type",
        choices=TASK_TYPES,
        metavar="TYPE",
        help=f"build the class for this PEFT task type: {', '.join(TASK_TYPES)}"
        " (default: the class that the config names)",
    )


def add_reading(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options that say how to read a model, whoever names it."""
    group = parser.add_argument_group("reading the model")
    group.add_argument(
        "--offline", action="store_true", help="use only what the Hub's local cache has"
    )
    group.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the code of the model's repository if its class needs that",
    )
    group.add_argument(
        "--no-cache", action="store_true", help="neither read nor write the cache of inventories"
    )
    group.add_argument(
        "--refresh", action="store_true", help="build anew even if the cache has an answer"
    )
    return group


def add_output(
    parser: argparse.ArgumentParser,
) -> tuple[argparse._ArgumentGroup, argparse._MutuallyExclusiveGroup]:
    """Add the options that say how to print.

    Returns:
        The group of all such options, and within it that of the forms of output, of which only
        one can be asked for.
    """
    group = parser.add_argument_group("output")
    group.add_argument(
        "--width",
        type=values.width,
        metavar="N",
        help="characters a line (default: the terminal's; unlimited in a pipe)",
    )
    forms = group.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON (see lorascope schema)")
    return group, forms
