"""`lorascope check`: what is wrong with LoRA configurations, before anyone trains with them."""

from __future__ import annotations

import argparse
import sys

from lorascope.cli import values
from lorascope.cli.common import MODEL_HELP, add_reading
from lorascope.cli.usage import UsageError, did_you_mean, quoted

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lorascope.api import CheckRequest, Mended
    from lorascope.checking import Rule
    from lorascope.checking.checked import CheckedFile
    from lorascope.cli.check_settings import Settings

_TOOLS = ("peft", "axolotl", "llamafactory", "ms-swift", "trl", "torchtune", "mlx-lm")
_SEVERITIES = ("error", "warning", "info")
_FORMS = ("text", "json", "sarif", "github")
_FINDINGS = 1
_FAILED = 2

_EPILOG = """\
examples:
  lorascope check ./adapter                          an adapter, its tensors compared as well
  lorascope check train.yaml                         a training file; its base model is named there
  lorascope check train.yaml Llama-3.1-8B            … or here
  lorascope check configs/ --severity error          all adapters, YAML files and scripts below
  lorascope check --targets q_proj,v_proj Phi-3-mini a quick question
  lorascope check train.yaml --diff                  what --fix would change
  lorascope check ./adapter --serve vllm             what that engine rejects or ignores
  cat config.json | lorascope check - Llama-3.1-8B

Settings for a project stand in its pyproject.toml: [tool.lorascope] with select, ignore, severity
and serve. `lorascope rule` explains the rules.

exit codes: 0 nothing at or above --severity, 1 findings, 2 something could not be checked"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="what is wrong with an adapter or a training file",
        description="Check LoRA configurations against their base models, without weights.\n"
        "Reads adapters, adapter_config.json, and the files of Axolotl, LLaMA-Factory, ms-swift,\n"
        "TRL, torchtune and mlx-lm; for TRL, ms-swift and LLaMA-Factory also shell scripts.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="adapters, training files, shell scripts, directories of such, or - for JSON on"
        " standard input; the last one may be MODEL",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help=f"base model for all: {MODEL_HELP} (default: as named)"
    )
    parser.add_argument(
        "--format", choices=_TOOLS, metavar="TOOL", help=f"whose files: {', '.join(_TOOLS)}"
    )
    parser.add_argument(
        "--targets",
        type=values.names,
        metavar="NAME,...",
        help="check this list of target_modules instead of files",
    )
    parser.add_argument(
        "--serve",
        action="extend",
        type=values.names,
        metavar="ENGINE,...",
        help="serving engines whose limits count: vllm, sglang, llama.cpp, tgi, lorax, peft",
    )
    rules = parser.add_argument_group("rules")
    rules.add_argument(
        "--select", type=values.names, metavar="RULE,...", help="only these: LT011, LT01, a name"
    )
    rules.add_argument("--ignore", type=values.names, metavar="RULE,...", help="not these")
    rules.add_argument(
        "--severity",
        choices=_SEVERITIES,
        metavar="LEVEL",
        help="least severity that leads to exit code 1: error, warning or info (default: warning)",
    )
    rules.add_argument(
        "--isolated", action="store_true", help="leave the settings in pyproject.toml out"
    )
    fixes = parser.add_argument_group("mending").add_mutually_exclusive_group()
    fixes.add_argument(
        "--fix", action="store_true", help="write what has one right answer into the files"
    )
    fixes.add_argument("--diff", action="store_true", help="show what --fix would change")
    add_reading(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--width",
        type=values.width,
        metavar="N",
        help="characters a line (default: the terminal's; unlimited in a pipe)",
    )
    forms = group.add_mutually_exclusive_group()
    forms.add_argument(
        "--format-output",
        choices=_FORMS,
        default="text",
        metavar="FORM",
        help="text, json (see lorascope schema), sarif or github (default: text)",
    )
    forms.add_argument("--json", action="store_true", help="the same as --format-output json")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, mend if asked, print.

    Returns:
        0, 1 if there are findings at or above the severity, or 2 if something could not be
        checked, which the output tells.
    """
    from lorascope.checking.checked import worst
    from lorascope.core.finding import Severity

    settings = _settings(options)
    files = _checked(options, settings)
    _print(options, files)
    if any(file.is_incomplete for file in files):
        return _FAILED
    least = Severity(options.severity or settings.severity or Severity.WARNING)
    found = worst(files)
    return _FINDINGS if found is not None and found.is_at_least(least) else 0


def _settings(options: argparse.Namespace) -> Settings:
    from pathlib import Path

    from lorascope.cli.check_settings import Settings, read_settings

    return Settings() if options.isolated else read_settings(Path.cwd())


def _checked(options: argparse.Namespace, settings: Settings) -> tuple[CheckedFile, ...]:
    from lorascope.cli.check_paths import split_model

    asks_files = options.targets is None
    paths, model = split_model(options.paths, options.model, takes_paths=asks_files)
    request = _request(options, settings, model)
    if not asks_files:
        return (_of_targets(options, request),)
    if "-" in paths:
        return (_of_input(options, paths, request),)
    return _of_files([_user_path(path) for path in paths], options, request)


def _user_path(path: str) -> Path:
    from pathlib import Path

    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user's home
        return Path(path)


def _request(options: argparse.Namespace, settings: Settings, model: str | None) -> CheckRequest:
    from lorascope.api import CheckRequest
    from lorascope.api.bases import BaseModels
    from lorascope.core.recipe import Tool

    engines = _engines(options, settings)
    return CheckRequest(
        model=model,
        tool=None if options.format is None else Tool(options.format),
        rules=_rules(options, settings),
        engines=engines,
        bases=BaseModels(
            offline=options.offline,
            trust_remote_code=options.trust_remote_code,
            cache=not options.no_cache,
            refresh=options.refresh,
        ),
    )


def _engines(options: argparse.Namespace, settings: Settings) -> tuple[str, ...]:
    from lorascope.api.checks import known_engines
    from lorascope.core.errors import SpecificationError

    where = "--serve" if options.serve is not None else settings.where("serve")
    try:
        return known_engines(options.serve or settings.serve or ())
    except SpecificationError as error:
        raise UsageError(f"lorascope check: {where}: {error.what}", error.hint) from error


def _rules(options: argparse.Namespace, settings: Settings) -> tuple[Rule, ...]:
    """Return the rules to run; an option stands in the place of the setting of its name."""
    from lorascope.checking import RULES

    chosen = {}
    for name, otherwise in (("select", RULES), ("ignore", ())):
        option, setting = getattr(options, name), getattr(settings, name)
        if option is not None:
            chosen[name] = _named(option, f"--{name}")
        elif setting is not None:
            chosen[name] = _named(setting, settings.where(name))
        else:
            chosen[name] = tuple(otherwise)
    return tuple(rule for rule in chosen["select"] if rule not in chosen["ignore"])


def _named(codes: Sequence[str], where: str) -> tuple[Rule, ...]:
    from lorascope.checking import RULES, rules_named

    known = [name for rule in RULES for name in (rule.code, rule.name)]
    for code in codes:
        if not rules_named([code]):
            raise UsageError(
                f"lorascope check: {where}: no rule is called {quoted(code)}."
                f"{did_you_mean(code, known)}",
                "List them with: lorascope rule",
            )
    return rules_named(codes)


def _of_targets(options: argparse.Namespace, request: CheckRequest) -> CheckedFile:
    from pathlib import Path

    from lorascope.api.checks import check_recipe
    from lorascope.checking.checked import CheckedFile
    from lorascope.cli.progress import working
    from lorascope.core.recipe import Recipe, Tool

    if request.model is None:
        raise UsageError("lorascope check: --targets needs MODEL.", "See: lorascope check --help")
    if options.fix or options.diff:
        raise UsageError(
            "lorascope check: --targets names no file that could be mended.",
            "Leave out --fix and --diff.",
        )
    recipe = Recipe(Tool.PEFT, "--targets", {"target_modules": options.targets})
    with working(f"checking against {request.model}"):
        checked = check_recipe(recipe, Path(), request)
    return CheckedFile("--targets", (checked,), is_file=False)


def _of_input(options: argparse.Namespace, paths: list[str], request: CheckRequest) -> CheckedFile:
    from dataclasses import replace
    from pathlib import Path

    from lorascope.api import check_text
    from lorascope.checking.checked import STANDARD_INPUT
    from lorascope.cli.progress import working
    from lorascope.core.errors import RecipeError
    from lorascope.source.config_file import LARGEST_CONFIG
    from lorascope.source.recipe_files import decoded

    if len(paths) > 1 or options.fix or options.diff:
        raise UsageError(
            "lorascope check: - is read alone, and cannot be mended in place.",
            "Save the input to a file, and name that.",
        )
    with working("checking standard input"):
        content = sys.stdin.buffer.read(LARGEST_CONFIG + 1) if sys.stdin is not None else b""
        if len(content) > LARGEST_CONFIG:
            raise RecipeError(f"Standard input has over {LARGEST_CONFIG:,} bytes.")
        text = decoded(content, STANDARD_INPUT)
        checked = check_text(text, STANDARD_INPUT, Path("-"), request)
        return replace(checked, path="-", is_file=False)


def _of_files(
    paths: list[Path], options: argparse.Namespace, request: CheckRequest
) -> tuple[CheckedFile, ...]:
    from lorascope.api import check_files
    from lorascope.cli.build_ahead import build_ahead
    from lorascope.cli.progress import working

    with working("checking") as say:
        files = check_files(
            paths,
            request,
            on_file=lambda done, of, path: say(f"checking {done + 1} of {of}: {path}"),
            on_bases=lambda names: build_ahead(names, request.bases, say),
        )
    if not (options.fix or options.diff):
        return files
    return tuple(_mended(file, options, request) for file in files)


def _mended(file: CheckedFile, options: argparse.Namespace, request: CheckRequest) -> CheckedFile:
    """Mend a file, or show how; return what is left to say of it."""
    from dataclasses import replace
    from pathlib import Path

    from lorascope.api import mend, write_mended
    from lorascope.cli import output
    from lorascope.core.errors import OutputError

    mended: Mended = mend(file, Path(file.path), request)
    for why in mended.unmended:
        output.tell(f"{file.path}: not mended: {why}")
    if not mended.is_changed:
        return file
    if options.diff:
        output.write(_diff(mended))
        return file
    try:
        write_mended(mended, Path(file.path))
    except OutputError as error:  # the other files go on
        return replace(file, error=error)
    output.tell(f"{file.path}: {mended.count} mended.")
    return mended.after


def _diff(mended: Mended) -> str:
    import difflib

    from lorascope.core.errors import printable

    before, after = mended.before.text or "", mended.after.text or ""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), mended.before.path, mended.before.path, lineterm=""
    )
    return "".join(f"{printable(line.expandtabs(), 5000)}\n" for line in lines)


def _print(options: argparse.Namespace, files: tuple[CheckedFile, ...]) -> None:
    from lorascope.cli import output

    form = "json" if options.json else options.format_output
    if options.diff and form == "text":
        return
    if form == "json":
        from lorascope.report.json_check import check_json

        output.write_json(check_json(files))
    elif form == "sarif":
        from lorascope.report.sarif import sarif

        output.write_json(sarif(files))
    elif form == "github":
        from lorascope.report.github_annotations import github_annotations

        output.write("".join(f"{command}\n" for command in github_annotations(files)))
    else:
        from lorascope.report.check_text import check_text

        is_file = options.targets is None and "-" not in options.paths
        output.show(check_text(files, output.text_width(options.width), fixable=is_file))
