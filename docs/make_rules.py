"""Write `docs/rules/LTNNN.md`, a page a rule, and `docs/rules.md`, the table of all rules.

The last column of the table is measured: PEFT puts each rule's failing example on its model, on the
meta device. Usage: python docs/make_rules.py [--check] (--check: compare, write nothing)
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lorascope.checking import RULES, Example, Rule
from lorascope.core.errors import SpecificationError
from lorascope.core.recipe import Recipe, Tool
from lorascope.report.rule_text import rule_markdown

HERE = Path(__file__).parent
FOLDER = HERE / "rules"
TABLE = HERE / "rules.md"
LONGEST = 100
"""Characters shown of what PEFT says."""
WITHOUT_PEFT = frozenset({Tool.TORCHTUNE, Tool.MLX_LM})

HEAD = """\
# The rules

Written by `python docs/make_rules.py` with PEFT {peft}, transformers {transformers} and torch \
{torch}; do not edit.

`lorascope check` looks for these mistakes ([how](check.md)). A code leads to the rule's page, which
`lorascope rule CODE` prints as well: why it is bad, an example, what to write instead, and who
reported it.

The last column is measured. The failing example of each rule's page was read into what its tool
hands to PEFT, and PEFT put it on the example's model, which has no weights then. It holds what PEFT
said by itself: the first {longest} characters of its error or of each warning. "Nothing" means
that training would have begun.

| code | severity | what it looks for | what PEFT says by itself |
| --- | --- | --- | --- |
"""


def rule_pages() -> dict[Path, str]:
    """Return the page of every rule as it should be."""
    return {FOLDER / f"{rule.code}.md": rule_markdown(rule) for rule in RULES}


def table_page() -> str:
    """Return the table as it should be; PEFT is asked."""
    import peft
    import torch
    import transformers

    head = HEAD.format(
        peft=peft.__version__,
        transformers=transformers.__version__,
        torch=torch.__version__.partition("+")[0],
        longest=LONGEST,
    )
    return head + "".join(f"{_row(rule)}\n" for rule in RULES)


def _row(rule: Rule) -> str:
    cells = (
        f"[{rule.code}](rules/{rule.code}.md)",
        str(rule.severity),
        rule.summary.replace("|", "\\|"),
        said_of(rule.bad),
    )
    return f"| {' | '.join(cells)} |"


def said_of(example: Example) -> str:
    """Return what PEFT says of an example, in words that fit a table's cell."""
    if example.tool in WITHOUT_PEFT:
        return f"not tried: {example.tool} trains without PEFT"
    try:
        put_on = _prepared(example)
    except SpecificationError as error:
        return f"not tried: {_quoted(str(error))}"
    noticed: list[str] = []
    try:
        with _listening(noticed):
            put_on()
    except Exception as error:  # whatever PEFT raises is what it says
        return f"an error: {_quoted(f'{type(error).__name__}: {error}')}"
    if not noticed:
        return "nothing"
    return f"a warning: {' and '.join(map(_quoted, noticed))}"


def _quoted(text: str) -> str:
    words = " ".join(text.replace("`", "'").replace("|", "\\|").split())
    return f"`{words if len(words) <= LONGEST else words[:LONGEST].rstrip() + ' …'}`"


class _listening:  # noqa: N801 - used like a function
    """Collect warnings, and what PEFT logs, in order and each once."""

    def __init__(self, noticed: list[str]) -> None:
        self._noticed = noticed
        self._caught = warnings.catch_warnings()
        self._handler = logging.Handler(logging.WARNING)
        self._handler.emit = lambda record: self._note(record.getMessage())  # type: ignore[method-assign]

    def __enter__(self) -> None:
        self._caught.__enter__()
        warnings.simplefilter("always")
        for about_code in (DeprecationWarning, FutureWarning):  # not about the configuration
            warnings.simplefilter("ignore", about_code)
        warnings.showwarning = lambda message, *_, **__: self._note(str(message))
        logging.getLogger("peft").addHandler(self._handler)

    def __exit__(self, *details: object) -> None:
        logging.getLogger("peft").removeHandler(self._handler)
        self._caught.__exit__(*details)

    def _note(self, text: str) -> None:
        if text not in self._noticed:
            self._noticed.append(text)


def _prepared(example: Example) -> Callable[[], object]:
    """Build an example's model; return what lets PEFT put the example on it.

    Tensors are loaded as those of a trained adapter.

    Raises:
        SpecificationError: The example's tool hands nothing to PEFT.
    """
    from peft import LoraConfig, get_peft_model

    from lorascope import api
    from lorascope.build import build_model
    from lorascope.formats import hand
    from lorascope.source.resolver import resolve

    task_type = example.task_type or _recipe(example).stated.get("task_type")
    inventory = api.inspect(example.model, task_type=task_type, cache=False, observe=False)
    handed = dict(hand(_recipe(example), inventory))
    model = build_model(resolve(example.model), task_type=task_type)
    tensors = example.tensors
    if tensors is not None:
        return lambda: _load(model, handed, tensors)
    return lambda: get_peft_model(
        model, LoraConfig.from_peft_type(**_as_json(handed)), low_cpu_mem_usage=True
    )


def _recipe(example: Example) -> Recipe:
    from lorascope.formats import read_recipes

    if isinstance(example.config, str):
        [recipe] = read_recipes(example.config, "example", example.tool)
        return recipe
    return Recipe(example.tool, "example", example.config)


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dict(fields)))
    return values


def _load(model: Any, fields: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]]) -> None:
    """Load an adapter with tensors of these shapes as `PeftModel.from_pretrained` does."""
    import torch
    from peft import PeftModel
    from safetensors.torch import save_file

    config = _as_json(fields) | {"peft_type": "LORA"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "adapter_config.json").write_text(json.dumps(config), "utf-8")
        empty = {name: torch.zeros(tuple(shape)) for name, shape in tensors.items()}
        save_file(empty, Path(folder) / "adapter_model.safetensors")
        PeftModel.from_pretrained(model, folder, torch_device="cpu", low_cpu_mem_usage=True)


def stale(pages: Mapping[Path, str]) -> list[Path]:
    """Return the pages that are not as they should be, and those that should not be."""
    old = [
        path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text
    ]
    return old + [path for path in sorted(FOLDER.glob("*")) if path not in pages]


def main(arguments: Iterable[str]) -> int:
    """Write the pages, or say which of them is not current."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT prints sets, whose order is that of hashes
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, __file__, *arguments])  # noqa: S606 - itself
    pages = {**rule_pages(), TABLE: table_page()}
    if "--check" in arguments:
        for path in stale(pages):
            print(f"{path} is not current; run `make docs`")
        return int(bool(stale(pages)))
    FOLDER.mkdir(exist_ok=True)
    for path in stale(pages):
        if path in pages:
            path.write_text(pages[path], "utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
