"""Write `docs/serving.md`: what each serving engine does with each preset, by the library.

Usage: python docs/make_serving.py [--check] (--check: compare, write nothing)
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "serving.md"
MODELS = ("Llama-3.1-8B", "Phi-3-mini", "Mixtral-8x7B", "Qwen2.5-VL-7B", "gpt-oss-20b")
SOURCES = {
    "vllm": "https://github.com/vllm-project/vllm",
    "sglang": "https://github.com/sgl-project/sglang",
    "llama.cpp": "https://github.com/ggml-org/llama.cpp",
    "tgi": "https://github.com/huggingface/text-generation-inference",
    "lorax": "https://github.com/predibase/lorax",
    "peft": "https://github.com/huggingface/peft",
}

HEAD = """\
# What serving engines make of an adapter

Written by `python docs/make_serving.py` from `src/lorascope/serving/`; do not edit.

`lorascope check ADAPTER --serve vllm,sglang` says this of your adapter, and
`lorascope plan MODEL --serve vllm` plans one that is served as it is trained. Each engine was read
in one version; `--serve vllm@VERSION` fails where that is another one.

"As trained" means that every adapted module adds what it added in training. A factor is what is
served divided by what was trained: x0.5 is half, x0 is left out without an error. "Not loaded" is
an error when the adapter is loaded. Whether an engine runs the model at all is known for vLLM and
SGLang alone, whose model classes were read.
"""


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([HEAD, *_presets(), "", *_engines(), "", *_classes(), ""])


def _presets() -> Iterator[str]:
    from lorascope import api
    from lorascope.core.errors import PlanError
    from lorascope.planning import PRESETS, PlanRequest, make_plan
    from lorascope.serving.engines import engines

    served = [engine for name, engine in engines().items() if name != "peft"]
    for model in MODELS:
        inventory = api.inspect(model)
        yield f"## {model}\n"
        yield f"| preset | {' | '.join(engine.title for engine in served)} |"
        yield f"| --- |{' --- |' * len(served)}"
        notes: dict[str, int] = {}
        for preset in PRESETS:
            try:
                plan = make_plan(inventory, PlanRequest(preset=preset))
            except PlanError:
                yield f"| {preset} |{' no such plan |' * len(served)}"
                continue
            cells = [_cell(plan.adapter_config, inventory, engine.name, notes) for engine in served]
            yield f"| {preset} | {' | '.join(cells)} |"
        yield ""
        yield from (f"{number}. {note}" for note, number in notes.items())
        if notes:
            yield ""


def _cell(config: dict[str, object], inventory: object, name: str, notes: dict[str, int]) -> str:
    from lorascope.checking import subject_of
    from lorascope.core.recipe import Recipe, Tool
    from lorascope.serving.engines import engines
    from lorascope.serving.outcome import outcome
    from lorascope.serving.troubles import Severity

    subject = subject_of(Recipe(Tool.PEFT, "plan", config), inventory)
    if subject.match is None:
        return "not known"
    found = outcome(engines()[name], subject.spec, subject.match, subject.model)
    said = [
        f"{each.engine.title}: {each.what}{f': {each.why}' if each.why else ''}. {each.instead}"
        for each in found.troubles
    ]
    marks = " ".join(f"({notes.setdefault(note, len(notes) + 1)})" for note in said)
    parts = [part for part in found.parts if not part.is_same]
    if found.is_refused:
        text = "not loaded"
    elif parts or found.left_out:
        factors = (f"x{part.factor:.4g}: {part.names}" for part in parts)
        text = "; ".join((*factors, *(f"{each} left out" for each in found.left_out)))
    elif found.unknown:
        text = "not known"
    elif any(each.severity is Severity.OPTION for each in found.troubles):
        text = "as trained, with an option"
    else:
        text = "as trained"
    return f"{text} {marks}".strip()


def _engines() -> Iterator[str]:
    from lorascope.serving.engines import engines

    yield "## The engines\n"
    yield "| engine | version read | scale | rank limit | read in |"
    yield "| --- | --- | --- | --- | --- |"
    for name, engine in engines().items():
        limit = f"{engine.usual_rank}, up to {engine.ranks[-1]}" if engine.ranks else "none"
        where = "<br>".join(f"`{each}`" for each in engine.source)
        yield (
            f"| [{engine.title}]({SOURCES[name]}) | {engine.version} | {engine.scale.value} |"
            f" {limit} | {where} |"
        )
    yield ""
    yield "| engine | does not load | leaves out | needs an option for |"
    yield "| --- | --- | --- | --- |"
    for engine in engines().values():
        needs = ", ".join(f"{feature}: `{option}`" for feature, option in engine.needs.items())
        yield (
            f"| {engine.title} | {', '.join(sorted(engine.refuses)) or '–'} |"
            f" {', '.join(sorted(engine.ignores)) or '–'} | {needs or '–'} |"
        )


def _classes() -> Iterator[str]:
    from lorascope.serving.facts import facts_of

    yield "## Model classes\n"
    yield "| engine | read | architectures | of these take adapters | adapt towers by option |"
    yield "| --- | --- | --- | --- | --- |"
    for name in ("vllm", "sglang"):
        facts = facts_of(name)
        if facts is not None:
            classes = facts.classes.values()
            takes = sum(each.lora for each in classes)
            towers = sum(bool(each.towers) for each in classes)
            yield f"| {name} | `{facts.archive}` | {len(classes)} | {takes} | {towers} |"
    yield ""
    yield (
        "`make engine-facts` reads the newest release again: it takes the source from the package\n"
        "index, parses it, and writes `vllm.json` and `sglang.json`; nothing is built or run."
    )


def main() -> int:
    """Write the page, or compare it."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    text = page()
    if "--check" in sys.argv[1:]:
        is_current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not is_current:
            print(f"{PAGE} is not current: run make docs")
        return 0 if is_current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
