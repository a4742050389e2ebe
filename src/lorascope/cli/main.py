"""The `lorascope` command: from arguments to an exit code.

Exit codes: 0 fine, 1 findings at or above the asked severity, 2 the request could not be carried
out or PEFT would refuse it, 130 interrupted, 141 the reader of the output has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lorascope.cli.output import tell
from lorascope.cli.parser import build_parser
from lorascope.cli.usage import unknown_arguments
from lorascope.core.errors import LorascopeError, printable

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from typing import NoReturn

FINE = 0
FAILED = 2
INTERRUPTED = 130
READER_GONE = 141


def entry_point() -> NoReturn:
    """Run as a process of its own."""
    prepare_process()
    sys.exit(main())


def prepare_process() -> None:
    """Set up a process of lorascope's own, before any large library is imported."""
    if not _debugging():
        _silence_libraries()
    _leave_out_bitsandbytes()


def _leave_out_bitsandbytes() -> None:
    # PEFT imports it wherever it is installed, which takes a second. Nothing is quantized here:
    # its layouts are counted on stand-ins. None makes Python say that it is not installed.
    sys.modules.setdefault("bitsandbytes", None)  # type: ignore[arg-type]  # the documented way


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code. Whatever goes wrong, the user gets one message and no traceback, unless
        LORASCOPE_DEBUG is set.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(arguments)
    except LorascopeError as error:
        if _debugging():
            raise
        return _refuse(error, as_json=_asks_for_json(arguments))
    except KeyboardInterrupt:
        tell("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return READER_GONE
    except Exception as error:
        if _debugging():
            raise
        tell(
            f"lorascope failed unexpectedly ({type(error).__name__}: {printable(error)}). Please"
            " report this with the output of the same command under LORASCOPE_DEBUG=1."
        )
        return FAILED


def _run(arguments: list[str]) -> int:
    parser, commands = build_parser()
    try:
        options, unknown = parser.parse_known_args(arguments)
    except SystemExit as stop:  # --help and --version, which have printed all there is
        return int(stop.code or 0)
    if unknown:
        raise unknown_arguments(commands.get(options.command, parser), unknown)
    if options.command is None:
        parser.print_help()
        return FINE
    return int(options.run(options))


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether JSON is asked for, also where the rest of the command line is wrong."""
    words = " ".join(arguments).replace("--format-output=", "--format-output ")
    return "--json" in arguments or "--format-output json" in words


def _refuse(error: LorascopeError, *, as_json: bool) -> int:
    tell(f"Error: {error.what}")
    if error.hint:
        tell(error.hint)
    if as_json:
        from lorascope.cli.output import write_json
        from lorascope.report.json_error import error_json

        try:
            write_json(error_json(error))
        except (BrokenPipeError, LorascopeError):
            _drop_output()
    return FAILED


def _drop_output() -> None:
    # Python flushes standard output once more when it exits, which would fail once more.
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    return os.environ.get("LORASCOPE_DEBUG", "") not in ("", "0")


def _silence_libraries() -> None:
    """Keep the notices of transformers, torch and the Hub out of the output."""
    import warnings

    warnings.simplefilter("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
