"""What a training file says beside its LoRA part is told where it is not carried over."""

from pathlib import Path

import pytest
from exported import BASE, llama

from lorascope.api.configured import configured
from lorascope.core.export import Trainer
from lorascope.exporting import export, export_into
from lorascope.matching.configured import Configured

AXOLOTL = (
    f"base_model: {BASE}\nadapter: qlora\nload_in_4bit: true\nlora_r: 8\nlora_alpha: 16\n"
    "lora_target_modules: [q_proj, v_proj]\nloraplus_lr_ratio: 16\n"
)


def read(tmp_path: Path, text: str, name: str = "a.yaml") -> Configured:
    path = tmp_path / name
    path.write_text(text)
    return configured(path, llama())


@pytest.mark.parametrize(
    ("to", "bits", "ratio"),
    [
        ("trl", "in TRL: --load_in_4bit.", "lorascope knows no key of TRL's for it."),
        ("llamafactory", ": quantization_bit: 4.", "set it yourself: loraplus_lr_ratio: 16."),
        ("ms-swift", "--quant_bits 4 --quant_method bnb.", "--lorap_lr_ratio 16."),
        ("axolotl", "adapter: qlora and load_in_4bit: true.", ": loraplus_lr_ratio: 16."),
        ("torchtune", "the builder qlora_* in place of lora_*.", "no key of torchtune's for it."),
        ("mlx-lm", "where mlx-lm loads it.", "no key of mlx-lm's for it."),
    ],
)
def test_four_bits_and_the_ratio(tmp_path: Path, to: str, bits: str, ratio: str) -> None:
    first, second = export(read(tmp_path, AXOLOTL), Trainer(to)).notes
    assert "loads the base model in 4 bits (load_in_4bit), which is not written" in first
    assert first.endswith(bits)
    assert "trains with LoRA+ (loraplus_lr_ratio: 16), which is not written" in second
    assert second.endswith(ratio)


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        (f"trl sft --model_name_or_path {BASE} --use_peft --load_in_8bit", "a.sh", "load_in_8bit"),
        (f"swift sft --model {BASE} --lora_rank 8 --quant_bits 8", "b.sh", "quant_bits"),
        (
            f"model_name_or_path: {BASE}\nfinetuning_type: lora\nquantization_bit: 8\n",
            "c.yaml",
            "quantization_bit",
        ),
    ],
)
def test_eight_bits(tmp_path: Path, text: str, name: str, key: str) -> None:
    notes = export(read(tmp_path, text, name), Trainer.AXOLOTL).notes
    assert f"in 8 bits ({key})" in notes[-1]
    assert notes[-1].endswith("load_in_8bit: true.")


def test_what_the_file_has_is_not_said(tmp_path: Path) -> None:
    assert export_into(read(tmp_path, AXOLOTL), Trainer.AXOLOTL, AXOLOTL, "a.yaml").notes == ()


def test_nothing_is_said_of_what_is_off(tmp_path: Path) -> None:
    text = AXOLOTL.replace("qlora", "lora").replace("true", "false").replace("loraplus", "# ")
    assert export(read(tmp_path, text), Trainer.TRL).notes == ()
