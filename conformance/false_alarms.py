"""Check what is known to be right, on every model type: no error may be found.

Right are lorascope's presets, and PEFT's own default targets for its model types. Usage:
python conformance/false_alarms.py [--write docs/false-alarms.md] [--sample] [--types bert,llama]
       [--processes 2]
Exit status 1 if an error was found; each is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from model_types import Case, cases
from published import config_of

from lorascope import api
from lorascope.checking import RULES, findings_of, subject_of
from lorascope.core.errors import PlanError
from lorascope.core.finding import Finding, Severity
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.matching.peft_defaults import installed_table
from lorascope.planning import PRESETS, PlanRequest, make_plan

DEFAULT = "PEFT's default"
_MOST_SHOWN = 12
"""Model types named in one row of the page."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was found in a configuration that is right."""

    model_type: str
    what: str
    """The preset, or `DEFAULT`."""
    finding: Finding


@dataclass(frozen=True, slots=True)
class Result:
    """One model type."""

    model_type: str
    checked: tuple[str, ...] = ()
    """The presets that have a plan on it, and `DEFAULT` if PEFT has one."""
    alarms: tuple[Alarm, ...] = ()
    failure: str | None = None
    """Why the class could not be built; None if it could."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--sample", action="store_true", help="only one type of each architecture")
    parser.add_argument("--types", help="only these model types, separated by commas")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time")
    arguments = parser.parse_args()

    chosen = _one_class_each(cases(arguments.sample))
    if arguments.types:
        wanted = set(arguments.types.split(","))
        chosen = [case for case in chosen if case.model_type in wanted]
    start = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes, initializer=_quiet) as pool:
        results = []
        for number, result in enumerate(pool.map(measure, chosen), start=1):
            results.append(result)
            if number % 50 == 0:
                print(f"{number}/{len(chosen)} {result.model_type}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    errors = [
        alarm
        for result in results
        for alarm in result.alarms
        if alarm.finding.severity == Severity.ERROR
    ]
    for alarm in errors:
        found = alarm.finding
        print(f"{alarm.model_type} {alarm.what}: {found.code} {found.entry}: {found.message}")
    print("\n".join(_figures(results, seconds)))
    if arguments.write:
        arguments.write.write_text(page(results, seconds), encoding="utf-8")
    return 1 if errors else 0


def _one_class_each(every: tuple[Case, ...]) -> list[Case]:
    first: dict[str, Case] = {}
    for case in every:
        first.setdefault(case.model_type, case)
    return list(first.values())


def _quiet() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)


def measure(case: Case) -> Result:
    """Check the presets and PEFT's default on one model type."""
    try:
        with torch.device("meta"):
            model = getattr(transformers, case.cls)(config_of(case.model_type))
        inventory = api.inspect(model)
    except Exception as error:
        return Result(case.model_type, failure=f"{type(error).__name__}: {error}"[:200])
    checked, alarms = [], []
    for what, config in _right(inventory):
        subject = subject_of(Recipe(Tool.PEFT, what, config), inventory)
        checked.append(what)
        alarms += [Alarm(case.model_type, what, finding) for finding in findings_of(subject)]
    return Result(case.model_type, tuple(checked), tuple(alarms))


def _right(inventory: Inventory) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for preset in PRESETS:
        try:
            plan = make_plan(inventory, PlanRequest(preset=preset))
        except PlanError:
            continue
        yield preset, plan.adapter_config
    targets = (installed_table() or {}).get(inventory.model.model_type or "")
    if targets is not None:
        yield DEFAULT, {"target_modules": targets}


def _figures(results: list[Result], seconds: float) -> Iterator[str]:
    counts = Counter(what for result in results for what in result.checked)
    found = Counter(alarm.finding.severity for result in results for alarm in result.alarms)
    built = sum(result.failure is None for result in results)
    yield (
        f"{built} of {len(results)} model types, {sum(counts.values())} configurations,"
        f" {len(RULES)} rules, {seconds:.0f} s"
    )
    yield ", ".join(f"{what} {count}" for what, count in counts.items())
    yield ", ".join(f"{found[severity]} {severity}s" for severity in Severity)


def page(results: list[Result], seconds: float) -> str:
    """Return the page: how much was checked, and what else than an error was found."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for alarm in result.alarms:
            key = (alarm.finding.code, alarm.finding.severity, alarm.what)
            types = rows.setdefault(key, [])
            if alarm.model_type not in types:
                types.append(alarm.model_type)
    lines = [
        "# False alarms",
        "",
        "Made by `conformance/false_alarms.py`: lorascope's presets and PEFT's own default",
        "targets, checked on the model types counted below. They are right, so no error may be",
        "found in them; what else is found is listed.",
        "",
        f"transformers {transformers.__version__}, PEFT {peft.__version__}.",
        "",
        *(f"- {line}" for line in _figures(results, seconds)),
        "",
        "| rule | severity | found in | model types |",
        "| --- | --- | --- | --- |",
    ]
    for (code, severity, what), types in sorted(rows.items()):
        more = f" and {len(types) - _MOST_SHOWN} more" if len(types) > _MOST_SHOWN else ""
        lines.append(f"| {code} | {severity} | {what} | {', '.join(types[:_MOST_SHOWN])}{more} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
