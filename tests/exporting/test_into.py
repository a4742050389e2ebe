"""A configuration put into an existing file: what changes, what stays, what is refused."""

import json

import pytest
import yaml
from exported import BASE, READ, llama, wanted

import builders
from lorascope.core.errors import ExportError, RecipeError
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.exporting import export, export_into
from lorascope.exporting.exporter import FileBase

WITH_RANKS = (Trainer.PEFT, Trainer.AXOLOTL)
AXOLOTL = """\
# my training
base_model: meta-llama/Llama-3.1-8B  # the base
load_in_4bit: true
adapter: qlora
lora_r: 32 # rank
lora_alpha: 16
lora_target_linear: true
lora_target_modules:
  - q_proj  # queries
  - k_proj  # keys
  # - o_proj
peft_use_dora: true

datasets:
  - path: x
"""
TRL = """\
#!/bin/bash
RANK=16
accelerate launch trl/scripts/sft.py \\
    --model_name_or_path meta-llama/Llama-3.1-8B \\
    --dataset_name foo \\
    --use_peft --lora_r $RANK \\
    --lora_target_modules q_proj "k_proj" \\
    --use_dora \\
    --learning_rate 1e-4 > log.txt 2>&1
echo done
"""


def into(to: str, text: str, name: str, **fields: object) -> Exported:
    return export_into(wanted(**fields), Trainer(to), text, name)


def test_axolotl_keeps_comments_and_all_else() -> None:
    found = into("axolotl", AXOLOTL, "train.yaml", layers_to_transform=[1, 2])
    assert found.losses == ()
    assert found.text == (
        "# my training\n"
        "base_model: meta-llama/Llama-3.1-8B  # the base\n"
        "load_in_4bit: true\n"
        "adapter: qlora\n"
        "lora_r: 8 # rank\n"
        "lora_alpha: 16\n"
        "lora_target_modules:\n"
        "  - q_proj  # queries\n"
        "  - v_proj  # keys\n"
        "  # - o_proj\n"
        "lora_dropout: 0.05\n"
        "peft_layers_to_transform: [1, 2]\n"
        "\n"
        "datasets:\n"
        "  - path: x\n"
    )


def test_what_is_there_already_stays_as_it_is() -> None:
    once = into("axolotl", AXOLOTL, "train.yaml").text
    assert into("axolotl", once, "train.yaml").text == once


@pytest.mark.parametrize("to", READ)
def test_what_was_written_takes_the_same_without_a_change(to: Trainer) -> None:
    ranks = {"rank_pattern": {"v_proj": 4, "q_proj": 2}} if to in WITH_RANKS else {}
    written = export(wanted(**ranks), to)
    assert export_into(wanted(**ranks), to, written.text, written.file_name).text == written.text


def test_a_command_keeps_its_lines() -> None:
    found = into("trl", TRL, "train.sh")
    assert found.losses == ()
    assert found.text == (
        "#!/bin/bash\n"
        "RANK=16\n"
        "accelerate launch trl/scripts/sft.py \\\n"
        "    --model_name_or_path meta-llama/Llama-3.1-8B \\\n"
        "    --dataset_name foo \\\n"
        "    --use_peft --lora_r 8 \\\n"
        "    --lora_target_modules q_proj v_proj \\\n"
        "    --lora_alpha 16 \\\n"
        "    --lora_dropout 0.05 \\\n"
        "    --learning_rate 1e-4 > log.txt 2>&1\n"
        "echo done\n"
    )


def test_the_yaml_of_a_tool_that_is_exported_as_a_command() -> None:
    text = "model: meta-llama/Llama-3.1-8B\ntarget_regex: '^(model.*)$'\ndataset: [a, b]\n"
    found = into("ms-swift", text, "swift.yaml")
    assert found.losses == ()
    assert found.text == (
        "model: meta-llama/Llama-3.1-8B\n"
        "tuner_type: lora\n"
        "lora_rank: 8\n"
        "lora_alpha: 16\n"
        "lora_dropout: 0.05\n"
        "target_modules: [q_proj, v_proj]\n"
        "dataset: [a, b]\n"
    )


def test_training_of_all_weights_becomes_lora() -> None:
    text = f"model_name_or_path: {BASE}\nstage: sft\nfinetuning_type: full\ndataset: identity\n"
    found = into("llamafactory", text, "train.yaml")
    assert found.losses == ()
    assert "finetuning_type: lora\nlora_rank: 8\n" in found.text
    assert found.text.endswith("dataset: identity\n")


def test_a_section() -> None:
    text = (
        "model: meta-llama/Llama-3.1-8B\n"
        "num_layers: 16\n"
        "lora_parameters:\n"
        "  # which\n"
        '  keys: ["mlp.up_proj"]\n'
        "  rank: 8\n"
        "  alpha: 16\n"
        "lr: 1e-5\n"
    )
    found = into("mlx-lm", text, "mlx.yaml")
    assert found.losses == ()
    assert found.text == (
        "model: meta-llama/Llama-3.1-8B\n"
        "num_layers: -1\n"
        "fine_tune_type: lora\n"
        "lora_parameters:\n"
        "  # which\n"
        '  keys: ["self_attn.q_proj", "self_attn.v_proj"]\n'
        "  rank: 8\n"
        "  scale: 2.0\n"
        "  dropout: 0.05\n"
        "lr: 1e-5\n"
    )


def test_a_section_in_brackets_keeps_what_is_not_of_lora() -> None:
    text = (
        "model: {_component_: torchtune.models.llama3_1.qlora_llama3_1_8b, "
        "lora_attn_modules: ['v_proj'], quantize_base: true}\n"
        "tokenizer:\n  path: x\n"
    )
    found = into("torchtune", text, "recipe.yaml")
    assert found.losses == ()
    assert '"quantize_base": true' in found.text
    assert '"lora_attn_modules": [q_proj, v_proj]' in found.text
    assert "qlora_llama3_1_8b" in found.text


def test_the_quantized_builder_of_the_same_model_stays() -> None:
    text = (
        "model:\n"
        "  _component_: torchtune.models.llama3_1.qlora_llama3_1_8b\n"
        "  lora_attn_modules: ['q_proj', 'k_proj']\n"
        "  apply_lora_to_mlp: True\n"
        "  lora_rank: 64  # higher increases accuracy\n"
        "  lora_alpha: 128\n"
    )
    found = into("torchtune", text, "recipe.yaml")
    assert found.losses == ()
    assert "qlora_llama3_1_8b" in found.text
    assert "  lora_rank: 8  # higher increases accuracy\n" in found.text
    assert "  apply_lora_to_mlp: false\n" in found.text


def test_an_adapter_config() -> None:
    text = (
        '{\n    "peft_type": "LORA",\n    "r": 4,\n    "use_dora": true,\n'
        '    "target_modules": ["q_proj", "lm_head"],\n    "eva_config": {"rho": 2.0}\n}\n'
    )
    found = into("peft", text, "adapter_config.json")
    assert found.losses == ()
    config = json.loads(found.text)
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert config["use_dora"] is False
    assert "eva_config" not in config
    assert '    "r": 8,\n' in found.text


def test_another_base_model_is_said() -> None:
    text = AXOLOTL.replace("meta-llama/Llama-3.1-8B", "./local")
    found = into("axolotl", text, "train.yaml")
    assert "base_model: ./local" in found.text
    [loss] = found.losses
    assert loss.what == "base_model_name_or_path"
    assert loss.message == (
        "train.yaml trains ./local, the configuration is for meta-llama/Llama-3.1-8B, and whether"
        " the same is adapted there cannot be told: It is not read."
    )


def test_another_base_model_with_the_same_modules_is_noted() -> None:
    text = AXOLOTL.replace("meta-llama/Llama-3.1-8B", "./local")
    asked: list[FileBase] = []

    def read(base: FileBase) -> Inventory:
        asked.append(base)
        return llama()

    found = export_into(wanted(), Trainer.AXOLOTL, text, "train.yaml", read)
    assert asked == [FileBase("./local", "train.yaml", None, None)]
    assert found.losses == ()
    assert found.notes == (
        "train.yaml trains ./local; the configuration was worked out on meta-llama/Llama-3.1-8B."
        " The same modules are adapted on both.",
    )


@pytest.mark.parametrize(
    ("layers", "said"), [(2, "4 would be adapted"), (5, "6 would be adapted there, and 4 others")]
)
def test_another_base_model_on_which_something_else_is_adapted(layers: int, said: str) -> None:
    text = AXOLOTL.replace("meta-llama/Llama-3.1-8B", "other/model")
    other = builders.completed(builders.llama(layers=layers))
    with pytest.raises(ExportError, match="train.yaml trains other/model") as caught:
        export_into(wanted(), Trainer.AXOLOTL, text, "train.yaml", lambda _: other)
    assert "the configuration is for meta-llama/Llama-3.1-8B: of its 6 modules" in caught.value.what
    assert said in caught.value.what
    assert caught.value.hint == (
        "Give the plan for other/model, or change base_model in train.yaml."
    )


def test_another_base_model_on_which_nothing_is_adapted() -> None:
    text = AXOLOTL.replace("meta-llama/Llama-3.1-8B", "other/model")
    other = builders.inventory_of([builders.linear("h.0.attn.c_proj", (8, 8))])
    with pytest.raises(ExportError, match="of its 6 modules 0 would be adapted there"):
        export_into(wanted(), Trainer.AXOLOTL, text, "a.yaml", lambda _: other)


@pytest.mark.parametrize("builder", ["llama3_8b", "lora_llama3_8b", "qlora_llama3_8b"])
def test_the_builder_of_another_model_does_not_go_unsaid(builder: str) -> None:
    text = f"model:\n  _component_: torchtune.models.llama3.{builder}\n  x: 1\ntokenizer: y\n"
    read = lambda _: llama()  # noqa: E731
    with pytest.raises(ExportError, match="which would take its place"):
        export_into(wanted(), Trainer.TORCHTUNE, text, "x.yaml", read)


def test_what_the_rest_of_the_file_does_is_a_loss() -> None:
    text = (
        "base_model: meta-llama/Llama-3.1-8B\nadapter: lora\nlora_r: 8\n"
        "lora_r: 16\nlora_target_modules: [q_proj]\nlora_target_linear: true\n"
        "lora_target_linear: true\n"
    )
    found = into("axolotl", text, "train.yaml")
    assert [loss.what for loss in found.losses] == ["targets"]


@pytest.mark.parametrize(
    ("to", "text", "name", "said"),
    [
        ("axolotl", TRL, "train.sh", "train.sh is read as SHELL; Axolotl takes YAML or JSON."),
        ("trl", AXOLOTL, "train.yaml", "train.yaml is a file of Axolotl; expected one of TRL."),
        (
            "axolotl",
            "services:\n  web: x\n",
            "compose.yaml",
            "compose.yaml is no file of Axolotl: expected the key base_model.",
        ),
        (
            "trl",
            f"{TRL}trl sft --use_peft --lora_r 8\n",
            "two.sh",
            "two.sh holds 2 training commands (lines 3, 11); expected one.",
        ),
        ("trl", "echo hello\n", "x.sh", "x.sh is no file of TRL: expected a training command."),
        (
            "llamafactory",
            "llamafactory-cli train train.yaml\n",
            "run.sh",
            "the command takes its settings from train.yaml; expected them to stand in the script.",
        ),
        (
            "axolotl",
            "{base_model: x, adapter: lora, lora_r: 8}\n",
            "flow.yaml",
            "flow.yaml is not changed automatically: its keys do not each stand on a line",
        ),
        (
            "trl",
            'OPTS="--use_peft --lora_r 4"\ntrl sft --model_name_or_path x $OPTS\n',
            "args.sh",
            "args.sh is not changed automatically: --use_peft comes from a variable, at line 2.",
        ),
    ],
)
def test_files_that_are_not_changed(to: str, text: str, name: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        into(to, text, name)
    assert said in caught.value.what
    assert caught.value.hint


def test_options_in_an_array() -> None:
    text = f'ARGS=(--use_peft --lora_r 4)\ntrl sft --model_name_or_path {BASE} "${{ARGS[@]}}"\n'
    found = into("trl", text, "args.sh")
    assert found.losses == ()
    assert found.text.startswith("ARGS=(--use_peft --lora_r 8)\n")


def test_settings_that_contradict_go() -> None:
    text = f"model_name_or_path: {BASE}\nfinetuning_type: lora\nuse_llama_pro: true\n"
    assert into("llamafactory", text, "x.yaml").losses == ()


def test_tools_whose_files_are_not_changed() -> None:
    with pytest.raises(ExportError, match="--into takes those of PEFT, TRL, Axolotl"):
        into("unsloth", "x = 1\n", "train.py")


def test_losses_are_those_of_the_file() -> None:
    found = into("trl", TRL, "train.sh", rank_pattern={"q_proj": 4})
    assert [loss.what for loss in found.losses] == ["r", "lora_alpha"]
    assert isinstance(found, Exported)


LITGPT = f"""\
# lit
checkpoint_dir: checkpoints/{BASE}  # folder
lora_r: 32 # r
lora_mlp: true
data:
  class_path: litgpt.data.Alpaca
"""
NEMO = f"""\
model:
  _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
  pretrained_model_name_or_path: {BASE} # x
  torch_dtype: bf16
peft:
  match_all_linear: True # all
  target_modules:
    - "*.k_proj"
  dim: 64 # rank
"""


def test_litgpt() -> None:
    found = into("litgpt", LITGPT, "lit.yaml")
    assert found.losses == ()
    assert found.text == (
        "# lit\n"
        f"checkpoint_dir: checkpoints/{BASE}  # folder\n"
        "lora_r: 8 # r\n"
        "lora_mlp: false\n"
        "lora_alpha: 16\n"
        "lora_dropout: 0.05\n"
        "lora_query: true\n"
        "lora_key: false\n"
        "lora_value: true\n"
        "lora_projection: false\n"
        "lora_head: false\n"
        "data:\n"
        "  class_path: litgpt.data.Alpaca\n"
    )
    assert into("litgpt", found.text, "lit.yaml").text == found.text


def test_nemo_automodel() -> None:
    found = into("nemo-automodel", NEMO, "nemo.yaml")
    assert found.losses == ()
    said = yaml.safe_load(found.text)
    assert said["peft"] == {
        "_target_": "nemo_automodel.components._peft.lora.PeftConfig",
        "target_modules": ["*.q_proj", "*.v_proj"],
        "dim": 8,
        "alpha": 16,
        "dropout": 0.05,
        "dropout_position": "pre",
    }
    assert said["model"]["torch_dtype"] == "bf16"
    assert "  dim: 8 # rank\n" in found.text
    assert into("nemo-automodel", found.text, "nemo.yaml").text == found.text


@pytest.mark.parametrize(("to", "text"), [("litgpt", LITGPT), ("nemo-automodel", NEMO)])
def test_another_base_model_of_tools_that_are_not_read(to: str, text: str) -> None:
    text = text.replace(BASE, "other/model")
    other = builders.completed(builders.llama(layers=2, model_type="llama"))
    with pytest.raises(ExportError, match=r"x\.yaml trains other/model, and the configuration is"):
        export_into(wanted(), Trainer(to), text, "x.yaml", lambda _: other)
    assert export_into(wanted(), Trainer(to), text, "x.yaml", lambda _: llama()).losses == ()
    [loss] = into(to, text, "x.yaml").losses
    assert loss.what == "base_model_name_or_path"


@pytest.mark.parametrize(
    ("to", "text", "name", "said"),
    [
        ("litgpt", AXOLOTL, "a.yaml", "a.yaml is no file of LitGPT: expected the key checkpoint_"),
        ("litgpt", TRL, "a.sh", "a.sh is read as SHELL; LitGPT takes YAML."),
        (
            "nemo-automodel",
            "model: x\nlora_parameters: {}\n",
            "m.yaml",
            "expected the key model.pretrained_model_name_or_path.",
        ),
        (
            "litgpt",
            "checkpoint_dir: x\nlora_r:\nlora_mlp: true\n",
            "a.yaml",
            "a.yaml is not changed automatically: ",
        ),
    ],
)
def test_yaml_that_is_not_changed(to: str, text: str, name: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        into(to, text, name)
    assert said in caught.value.what


def test_a_file_that_resumes_an_adapter_is_refused() -> None:
    with pytest.raises(ExportError, match=r"train.yaml resumes \./x \(lora_model_dir\): its conf"):
        into("axolotl", AXOLOTL + "lora_model_dir: ./x\n", "train.yaml")
