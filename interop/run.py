"""Ask each tool what it makes of the files that lorascope writes for it, and compare.

Every tool has a virtual environment of its own with pinned releases. A file is parsed by the
tool's own code; where that can adapt a model on a CPU it does, and what it adapted, at which rank
and scale, is compared with the plan to the module: also the losses that an export announces.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import models
import names
import plans
import tools

from lorascope.core.errors import LorascopeError
from lorascope.core.export import Exported
from lorascope.exporting.differences import losses_of
from lorascope.exporting.exporter import Outcome
from lorascope.exporting.exporters import exporter_of
from lorascope.matching.configured import Configured

ROOT = Path(__file__).parents[1]
HERE = ROOT / "interop"
WORK = ROOT / ".venv-interop"
COMPARED = ("targets", "r", "lora_alpha", "modules_to_save")


@dataclass
class Case:
    """One plan on one model for one tool."""

    model: str
    plan: str
    directory: Path | None
    wanted: Configured
    exported: Exported | None
    refusal: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For the page and messages."""
        return f"{self.plan} on {self.model}"


def main() -> int:
    """Run what is asked for; return 1 if a tool did otherwise than lorascope says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", nargs="*", help="all that there are, if none is named")
    parser.add_argument("--write", type=Path, help="page to write")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    asked = [tool for tool in tools.TOOLS if not args.tools or tool.name in args.tools]
    directories = models.make(WORK / "models")
    rows = [_row(tool, directories) for tool in asked]
    text = page(rows)
    if args.write:
        args.write.write_text(text)
    else:
        print(text)
    return 0 if all(row.is_right for row in rows) else 1


@dataclass
class Row:
    """What came out for one tool."""

    tool: tools.Tool
    version: str
    cases: list[Case]
    trouble: str = ""

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return not any(differences(case, self.tool) for case in self.cases if case.result)


def _row(tool: tools.Tool, directories: Mapping[str, Path]) -> Row:
    print(f"{tool.name} …", file=sys.stderr)
    cases = list(_cases(tool, directories))
    if tool.driver is None:
        return Row(tool, exporter_of(tool.to).version, cases, tool.note)
    trouble = _install(tool)
    if trouble:
        return Row(tool, "", cases, trouble)
    return _drive(tool, cases)


def _cases(tool: tools.Tool, directories: Mapping[str, Path]) -> Iterator[Case]:
    for model in tool.models:
        directory = directories.get(model)
        for name, wanted in plans.configurations(str(directory or model)):
            folder = WORK / "files" / tool.name / f"{model}-{name}"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                exported = plans.export_by_command(wanted, tool.to, folder)
            except LorascopeError as error:
                yield Case(model, name, directory, wanted, None, str(error))
                continue
            yield Case(model, name, directory, wanted, exported)


def _install(tool: tools.Tool) -> str:
    """Make the tool's environment, unless it is there; return what failed."""
    environment = WORK / tool.name
    requirements = HERE / f"{tool.name}.txt"
    stamp = environment / "installed"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return ""
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    steps = (
        [sys.executable, "-m", "venv", "--without-pip", str(environment)],
        [*pip, "--no-deps", "-r", str(requirements)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"not installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    stamp.write_text(requirements.read_text())
    return ""


def _drive(tool: tools.Tool, cases: list[Case]) -> Row:
    tried = [case for case in cases if case.exported is not None]
    folder = WORK / "files" / tool.name
    jobs = [
        {
            "file": str(folder / f"{case.model}-{case.plan}" / case.exported.file_name),
            "model": str(case.directory or ""),
            "base": case.wanted.base_model,
        }
        for case in tried
        if case.exported is not None
    ]
    results, asked = folder / "results.json", _asked(tool, jobs)
    if not results.exists() or _read(folder / "asked.txt") != asked:
        _ask(tool, jobs, results)
        (folder / "asked.txt").write_text(asked)
    if not results.exists():
        last = (_read(folder / "log.txt").strip().splitlines() or ["?"])[-1]
        return Row(tool, "", cases, f"its driver failed: {last}")
    told = json.loads(results.read_text())
    for case, result in zip(tried, told["results"], strict=True):
        case.result = result
    return Row(tool, told["version"], cases)


def _asked(tool: tools.Tool, jobs: list[dict[str, str]]) -> str:
    """Return all that an answer depends on: what has been asked is not asked again."""
    paths = (
        HERE / f"{tool.name}.txt",
        HERE / "drivers" / "common.py",
        HERE / "drivers" / f"ask_{tool.driver}.py",
        *(Path(job["file"]) for job in jobs),
    )
    return "\n".join((json.dumps(jobs), *map(_read, paths)))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _ask(tool: tools.Tool, jobs: list[dict[str, str]], results: Path) -> None:
    folder = results.parent
    (folder / "jobs.json").write_text(json.dumps(jobs))
    results.unlink(missing_ok=True)
    log = folder / "log.txt"
    with log.open("w") as output:
        subprocess.run(
            [
                str(WORK / tool.name / "bin" / "python"),
                str(HERE / "drivers" / f"ask_{tool.driver}.py"),
                str(folder / "jobs.json"),
                str(results),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=1200,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", **tool.variables},
        )


def differences(case: Case, tool: tools.Tool) -> list[str]:
    """Return where the tool did otherwise than the export says, one sentence each."""
    if "error" in case.result:
        return [f"{tool.name} refuses it: {case.result['error']}"]
    if case.exported is None or "adapted" not in case.result:
        return []
    got = Outcome(
        names.in_transformers(tool.names, case.result["adapted"], case.wanted.inventory),
        frozenset(case.result["saved"]),
    )
    exporter = exporter_of(tool.to)
    found = losses_of(got, case.wanted, tool.to, exporter.hints)
    said = {
        (loss.what, loss.paths)
        for loss in case.exported.losses
        if loss.what in COMPARED and "of factors" not in loss.message
    }
    real = {(loss.what, loss.paths) for loss in found}
    return [
        *(f"not announced: {_short(each)}" for each in sorted(real - said)),
        *(f"announced, but not so: {_short(each)}" for each in sorted(said - real)),
    ]


def _short(loss: tuple[str, tuple[str, ...]]) -> str:
    what, paths = loss
    return f"{what}, {len(paths)} modules, {', '.join(paths[:2])}"


def page(rows: Iterable[Row]) -> str:
    """Return the whole page."""
    listed = list(rows)
    return "\n".join(
        (
            "# What the tools make of exported files",
            "",
            "Made by `make interop`: each tool's own code, in an environment of its own on a CPU, "
            "reads what `lorascope export` writes for it. *Injected* means that the tool put LoRA "
            "into a model; then every module, rank and scale was compared with the plan, and what "
            "an export announces as lost with what the tool really did otherwise.",
            "",
            "| tool | version | parsed | injected | agrees | notes |",
            "| --- | --- | --- | --- | --- | --- |",
            *map(_line, listed),
            "",
            "## Plans",
            "",
            *(f"- `{name}`: {about}" for name, about in plans.ABOUT.items()),
            "",
            *_details(listed),
        )
    )


def _line(row: Row) -> str:
    tried = [case for case in row.cases if case.result]
    right = [case for case in tried if not differences(case, row.tool)]
    modules = sum(len(case.result.get("adapted", ())) for case in right)
    refused = [case for case in row.cases if case.exported is None]
    lossy = [case for case in right if case.exported is not None and case.exported.losses]
    parsed = sum("error" not in case.result for case in tried)
    notes = "; ".join(
        note
        for note in (
            row.trouble or row.tool.note,
            f"{len(lossy)} with losses, which it showed as announced" if lossy else "",
            f"{len(refused)} refused by lorascope" if refused else "",
        )
        if note
    )
    if not tried:
        return f"| {row.tool.to.own_name} | {row.version or '–'} | no | no | – | {notes} |"
    injected = "yes" if any("adapted" in case.result for case in tried) else "no"
    agrees = f"{len(right)} of {len(tried)} plans, {modules:,} modules"
    return (
        f"| {row.tool.to.own_name} | {row.version} | {parsed} of {len(tried)} | {injected} | "
        f"{agrees} | {notes} |"
    )


def _details(rows: Iterable[Row]) -> Iterator[str]:
    yield "## By tool"
    for row in rows:
        yield ""
        yield f"### {row.tool.to.own_name}"
        yield ""
        yield "| plan | exported | tool |"
        yield "| --- | --- | --- |"
        for case in row.cases:
            yield f"| {case.title} | {_exported(case)} | {_told(case, row.tool)} |"


def _exported(case: Case) -> str:
    if case.exported is None:
        return f"refused: {case.refusal}"
    losses = list(dict.fromkeys(loss.what for loss in case.exported.losses))
    return f"without {', '.join(losses)}" if losses else "exactly"


def _told(case: Case, tool: tools.Tool) -> str:
    if not case.result:
        return "not asked"
    found = differences(case, tool)
    return "; ".join(found) if found else f"agrees, {len(case.result['adapted'])} modules"


if __name__ == "__main__":
    sys.exit(main())
