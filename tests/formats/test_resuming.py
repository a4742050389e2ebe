"""Files that go on with an adapter, whose own configuration is what is trained."""

import pytest

from lorascope.formats import read_recipes
from lorascope.formats.resuming import resumed

AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
FACTORY = "model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nadapter_name_or_path: a,b\n"
SWIFT = "swift sft --model m --lora_rank 8"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("f.yaml", AXOLOTL, None),
        ("f.yaml", AXOLOTL + "lora_model_dir: ./x\n", ("lora_model_dir", "./x")),
        ("f.yaml", FACTORY, ("adapter_name_or_path", "b")),
        ("f.yaml", FACTORY + "create_new_adapter: true\n", None),
        (
            "f.yaml",
            FACTORY + "create_new_adapter: true\nquantization_bit: 4\n",
            ("adapter_name_or_path", "b"),
        ),
        ("f.sh", SWIFT, None),
        ("f.sh", f"{SWIFT} --adapters x", ("adapters", "x")),
        (
            "f.sh",
            f"{SWIFT} --adapters x --resume_from_checkpoint y",
            ("resume_from_checkpoint", "y"),
        ),
    ],
)
def test_what_is_resumed(name: str, text: str, found: tuple[str, str] | None) -> None:
    (recipe,) = read_recipes(text, name)
    assert resumed(recipe) == found
