"""From a source to a built model: which class, which sizes, and clear errors."""

import contextlib

import pytest
from peft.utils.other import _get_module_names_tied_with_embedding

from lorascope.build import build, build_model, confined
from lorascope.build.model_class import TASK_MAPPINGS
from lorascope.core.errors import (
    LorascopeError,
    ModelBuildError,
    ModelConfigError,
    RemoteCodeError,
    UnknownModelTypeError,
)
from lorascope.source.model_source import ModelSource

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}


def source(config, **changes):
    stated = {key: value for key, value in {**config, **changes}.items() if value is not None}
    return ModelSource("a model", "config", stated, stated.get("model_type"))


def default(model_type):
    return ModelSource(model_type, "model_type", None, model_type, is_default_config=True)


def test_sizes_of_the_built_model_are_told():
    info = build(source(LLAMA, torch_dtype="bfloat16")).model
    assert (info.hidden_size, info.intermediate_size, info.num_hidden_layers) == (16, 24, 2)
    assert (info.num_attention_heads, info.num_key_value_heads, info.vocab_size) == (4, 2, 32)
    assert (info.cls, info.task_type, info.dtype) == ("LlamaForCausalLM", "CAUSAL_LM", "bfloat16")
    assert (info.input_embedding, info.output_embedding) == ("model.embed_tokens", "lm_head")


@pytest.mark.parametrize(
    ("task", "cls", "head"),
    [
        ("CAUSAL_LM", "LlamaForCausalLM", None),
        ("SEQ_CLS", "LlamaForSequenceClassification", "score"),
        ("TOKEN_CLS", "LlamaForTokenClassification", "score"),
        ("FEATURE_EXTRACTION", "LlamaModel", None),
    ],
)
def test_the_task_type_overrides_the_architecture(task, cls, head):
    info = build(source(LLAMA), task_type=task).model
    assert (info.cls, info.task_type, info.classifier_head) == (cls, task, head)


def test_every_task_type_of_the_command_line_has_a_class():
    built = {task: build(default("t5" if task == "SEQ_2_SEQ_LM" else "bert"), task_type=task)
             for task in TASK_MAPPINGS}  # fmt: skip
    assert {task: inventory.model.task_type for task, inventory in built.items()} == {
        task: task for task in TASK_MAPPINGS
    }


def test_a_task_without_class_says_which_tasks_there_are():
    with pytest.raises(ModelBuildError, match="no SEQ_2_SEQ_LM class.*'llama'.*CAUSAL_LM, SEQ_CLS"):
        build(source(LLAMA), task_type="SEQ_2_SEQ_LM")


@pytest.mark.parametrize(
    ("model_type", "cls"),
    [("llama", "LlamaForCausalLM"), ("whisper", "WhisperForConditionalGeneration"),
     ("bert", "BertForMaskedLM"), ("t5", "T5ForConditionalGeneration"),
     ("gemma3", "Gemma3ForConditionalGeneration"), ("vit", "ViTForImageClassification"),
     # Their class for text alone is built from the text part of the config.
     ("mllama", "MllamaForConditionalGeneration"), ("llama4", "Llama4ForConditionalGeneration"),
     ("qwen2_5_omni", "Qwen2_5OmniForConditionalGeneration")],
)  # fmt: skip
def test_a_bare_model_type_gives_the_class_it_is_published_as(model_type, cls):
    info = build(default(model_type)).model
    assert info.cls == cls


def test_an_unknown_model_type_names_the_nearest():
    with pytest.raises(UnknownModelTypeError, match="'lama'.*llama"):
        build(default("lama"))


def test_a_config_without_model_type_is_refused():
    with pytest.raises(UnknownModelTypeError, match="no config states a model_type"):
        build(source(LLAMA, model_type=None))


def test_an_architecture_of_another_family_is_a_contradiction():
    with pytest.raises(ModelConfigError, match="contradicts itself.*GPT2LMHeadModel.*'llama'"):
        build(source(LLAMA, architectures=["GPT2LMHeadModel"]))


def test_an_architecture_that_transformers_lacks_falls_back_to_the_type():
    assert build(source(LLAMA, architectures=["MyLlama"])).model.cls == "LlamaForCausalLM"


def test_a_flat_text_config_under_a_composite_type_is_refused():
    flat = {**LLAMA, "model_type": "gemma3", "architectures": None}
    with pytest.raises(ModelConfigError, match="hidden_size 16 stated, 2304 built.*gemma3_text"):
        build(source(flat))


def test_a_nested_text_config_is_taken():
    nested = {"model_type": "gemma3", "text_config": {"hidden_size": 64, "num_hidden_layers": 2}}
    info = build(source(nested)).model
    assert (info.hidden_size, info.num_hidden_layers) == (64, 2)


def test_fields_that_contradict_each_other_give_one_message():
    with pytest.raises((ModelConfigError, ModelBuildError), match="transformers"):
        build(source(LLAMA, hidden_size="wide"))


def test_a_model_of_too_many_modules_is_stopped(monkeypatch):
    monkeypatch.setattr(confined, "MOST_MODULES", 20)
    with pytest.raises(ModelConfigError, match="more than 20 modules"):
        build(source(LLAMA))


def test_a_model_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(confined, "MOST_SECONDS", 0.0)
    with pytest.raises(ModelConfigError, match="takes more than 0 s to build"):
        build(source(LLAMA))


@pytest.mark.parametrize("name", ["PreTrainedModel", "LlamaPreTrainedModel"])
def test_a_base_class_is_no_architecture(name):
    assert build(source(LLAMA, architectures=[name])).model.cls == "LlamaForCausalLM"


EVIL = "import pathlib; pathlib.Path({canary!r}).touch()\nclass Evil: pass\n"


@pytest.mark.parametrize(
    ("outer", "part"),
    [
        (
            {"model_type": "blip-2", "architectures": ["Blip2ForConditionalGeneration"]},
            "text_config",
        ),
        (
            {"model_type": "llava", "vision_config": {"model_type": "clip_vision_model"}},
            "text_config",
        ),
        ({"model_type": "vision-encoder-decoder", "encoder": {"model_type": "vit"}}, "decoder"),
    ],
)
def test_code_that_a_part_names_is_never_run(tmp_path, monkeypatch, outer, part):
    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(EVIL.format(canary=str(canary)))
    names = {f"AutoModel{end}": "evil.Evil" for end in ("", "ForCausalLM", "ForSeq2SeqLM")}
    nested = {"model_type": "vit", "_name_or_path": str(tmp_path), "auto_map": names}
    monkeypatch.setattr("builtins.input", lambda *prompt: pytest.fail("transformers asked"))
    with contextlib.suppress(LorascopeError):
        build(source({**outer, part: nested, "_name_or_path": str(tmp_path), "auto_map": names}))
    assert not canary.exists()


def test_transformers_itself_is_stopped_before_it_runs_code(tmp_path):
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(EVIL.format(canary=str(canary)))
    with confined.without_repository_code(), pytest.raises(RemoteCodeError):
        get_class_from_dynamic_module("evil.Evil", str(tmp_path))
    assert not canary.exists()


def test_a_backbone_that_a_config_names_is_not_asked_of_the_hub(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *where, **rest: pytest.fail("network"))
    named = {"model_type": "detr", "use_timm_backbone": False, "use_pretrained_backbone": True,
             "backbone": "evil/repo", "backbone_config": None}  # fmt: skip
    with contextlib.suppress(LorascopeError):
        build(source(named))


def test_what_a_config_says_is_not_logged(capfd):
    with pytest.raises(ModelConfigError):
        build(source(LLAMA, use_return_dict="\x1b[2Jpwned"))
    out, err = capfd.readouterr()
    assert "pwned" not in out + err


def test_repository_code_is_not_run_unasked(tmp_path):
    code = tmp_path / "modeling_secret.py"
    code.write_text("open('ran', 'w')")
    config = {**LLAMA, "model_type": "secret", "auto_map": {"AutoModel": "modeling_secret.Model"}}
    with pytest.raises(RemoteCodeError, match="--trust-remote-code"):
        build(source(config))
    assert not (tmp_path / "ran").exists()


CONFIGURATION = """
from transformers import PretrainedConfig
class SecretConfig(PretrainedConfig):
    model_type = "secret"
    def __init__(self, width=3, **rest):
        super().__init__(**rest)
        self.width = width
"""
MODELING = """
from torch import nn
from transformers import PreTrainedModel
from .configuration_secret import SecretConfig
class SecretModel(PreTrainedModel):
    config_class = SecretConfig
    def __init__(self, config):
        super().__init__(config)
        self.q_proj = nn.Linear(config.width, 5)
        self.post_init()
"""


def test_repository_code_runs_when_trusted(tmp_path, monkeypatch):
    import json

    config = {
        "model_type": "secret",
        "width": 7,
        "auto_map": {
            "AutoConfig": "configuration_secret.SecretConfig",
            "AutoModel": "modeling_secret.SecretModel",
        },
    }
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    (tmp_path / "configuration_secret.py").write_text(CONFIGURATION)
    (tmp_path / "modeling_secret.py").write_text(MODELING)
    (tmp_path / "config.json").write_text(json.dumps(config))
    secret = ModelSource("secret", "directory", config, "secret", directory=tmp_path)
    inventory = build(secret, trust_remote_code=True)
    assert (inventory.model.cls, inventory.model.is_remote_code) == ("SecretModel", True)
    assert inventory.by_path["q_proj"].in_features == 7
    with pytest.raises(ModelBuildError, match="no TOKEN_CLS class. It has .* FEATURE_EXTRACTION"):
        build(secret, task_type="TOKEN_CLS", trust_remote_code=True)


def test_a_quantized_checkpoint_is_said_to_be_one():
    notes = build(
        source(LLAMA, quantization_config={"quant_method": "gptq", "bits": 4})
    ).model.notes
    assert any("gptq" in note for note in notes)


@pytest.mark.parametrize("model_type", ["llama", "t5", "gemma3", "gpt2", "bert", "whisper", "bart"])
def test_ties_with_the_embedding_are_those_that_peft_finds(model_type):
    model = build_model(default(model_type))
    expected = _get_module_names_tied_with_embedding(model)
    assert list(build(default(model_type)).model.tied_to_embedding) == expected


@pytest.mark.parametrize(
    ("model_type", "rewrite"),
    [("mixtral", "mixtral"), ("qwen3_moe", "qwen2_moe"), ("deepseek_v3", "qwen2_moe"),
     ("qwen2_moe", None), ("llama", None), ("gpt_oss", None)],
)  # fmt: skip
def test_the_expert_rewrite_is_known_by_model_type(model_type, rewrite):
    assert build(default(model_type)).model.expert_rewrite == rewrite


@pytest.mark.parametrize(
    ("model_type", "sizes", "positions"),
    [
        ("llama", {"max_position_embeddings": 333}, 333),
        ("gpt2", {"n_positions": 77}, 77),
        ("t5", {}, None),
        ("mamba", {}, None),
    ],
)
def test_positions_are_those_that_the_config_states(
    model_type: str, sizes: dict[str, int], positions: int | None
) -> None:
    from transformers import AutoConfig

    from lorascope.build.info import positions_of

    assert positions_of(AutoConfig.for_model(model_type, **sizes)) == positions
