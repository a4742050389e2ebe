"""Write `docs/output.md` from the published schemas: python docs/make_output.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lorascope.report.schemas import SCHEMA_NAMES, schema_text

PAGE = Path(__file__).with_name("output.md")

HEAD = """\
# JSON output

Written by `python docs/make_output.py` from the schemas; a test checks that it is current.

`inspect`, `plan`, `export`, `match`, `check`, `diff` and `models` take `--json`. What they then
print keeps to a schema (JSON Schema 2020-12), which `lorascope schema NAME` prints. Two promises
hold:

- A later release may add fields under the same `schema_version`, so readers should ignore fields
  that they do not know.
- No field changes its meaning, and none goes, without a new `schema_version`.

The text is ASCII: whatever is not, and every control character, is escaped as JSON escapes it.
"""


def output_page() -> str:
    """Return the page as it should be."""
    parts = [HEAD]
    seen: set[str] = set()
    for name in SCHEMA_NAMES:
        schema = json.loads(schema_text(name))
        title = schema["title"].replace("lorascope ", "`lorascope ", 1) + "`"
        parts.append(f"## {title if '`lorascope' in title else schema['title']}\n")
        parts.append(f"{schema['description']}\n")
        parts.append(_table(schema))
        for part, definition in schema.get("$defs", {}).items():
            text = json.dumps(definition)
            if text not in seen:
                parts.append(f"### {part}\n\n{definition['description']}\n")
                parts.append(_table(definition))
            seen.add(text)
    return "\n".join(parts)


def _table(schema: dict[str, Any]) -> str:
    return "\n".join(["| field | type | meaning |", "| --- | --- | --- |", *_rows(schema, ""), ""])


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        meaning = field.get("description", "").replace("|", "\\|")
        enum = field.get("enum") or field.get("items", {}).get("enum") or ()
        values = [value for value in enum if value is not None]
        listed = ", ".join(f"`{value}`" for value in values)
        if listed and not all(f"`{value}`" in meaning for value in values):
            meaning = f"{meaning} One of {listed}."
        yield f"| `{prefix}{name}` | {_type(field)} | {meaning} |"
        yield from _rows(field, f"{prefix}{name}.")
        yield from _rows(field.get("items", {}), f"{prefix}{name}[].")


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        part = field["$ref"].rpartition("/")[2]
        return f"[{part}](#{part})"
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field and "type" not in field:
        return "string"
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = [f"array of {_type(field['items'])}" if each == "array" else each for each in types]
    return " or ".join(words)


if __name__ == "__main__":
    PAGE.write_text(output_page(), "utf-8")
