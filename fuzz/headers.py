"""Files of tensors beside an adapter: only a header, honest or not."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from odd_values import odd_text, odd_value


def mutated_header(random: Random) -> bytes:
    """Return the content of a safetensors file, most often a broken one."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for layer in range(random.choice((0, 1, 4, 200))):
        for factor, shape in (("A", [16, 8]), ("B", [8, 16])):
            name = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{factor}.weight"
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [0, 512]}
    for _ in range(random.choice((0, 1, 3))):
        key = random.choice(list(header))
        kind = random.randrange(6)
        if kind == 0:
            header[odd_text(random)] = header[key]
        elif kind == 1:
            header[key] = odd_value(random)
        elif kind == 2:
            header[key] = {"dtype": odd_value(random), "shape": [odd_value(random)]}
        elif kind == 3:
            header[key.replace("lora_A", odd_text(random))] = header.pop(key)
        elif kind == 4:
            header[key] = {"dtype": "F32", "shape": [2**40, 0, 3]}
        else:
            header.pop(key)
        header = header or {"x": 1}
    content = json.dumps(header).encode("utf-8", "surrogatepass")
    if random.random() < 0.2:
        at = random.randrange(len(content))
        content = content[:at] + random.randbytes(3) + content[at + 3 :]
    length = (
        len(content) if random.random() < 0.8 else random.choice((0, 1, 8, 2**20, 2**63, 2**64 - 1))
    )
    file = length.to_bytes(8, "little") + content
    return file if random.random() < 0.9 else file[: random.randrange(len(file))]
