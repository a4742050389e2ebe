"""The options of `lorascope plan`, group by group."""

from __future__ import annotations

import argparse

from lorascope.cli import values
from lorascope.cli.common import TOWERS
from lorascope.cli.usage import YesOrNo

PRESETS = ("qv", "attention", "extended", "ffn", "vod", "all-linear")
TASKS = ("classification", "instruction", "math", "code", "knowledge", "style", "rl", "domain")
BIASES = ("none", "all", "lora_only")
DTYPES = ("bf16", "fp16", "fp32")
QUANTIZATIONS = ("none", "int8", "nf4")
OPTIMIZERS = ("adamw", "adamw-8bit", "paged-adamw-8bit", "adafactor", "sgd")
ADAPTER_DTYPES = ("fp32", "bf16")
SHARDINGS = ("none", "fsdp")
DEVICES = ("cuda", "cpu")
TRADES = ("checkpointing", "batch", "rank", "quantization", "roles")
"""All of these repeat what `lorascope.planning` and `lorascope.core.training` know, so that
--help imports nothing."""

STEP = (
    "batch_size",
    "seq_len",
    "accumulation",
    "dtype",
    "quantization",
    "kbit_upcast",
    "autocast",
    "gradient_checkpointing",
    "optimizer",
    "adapter_dtype",
    "devices",
    "sharding",
    "device",
)
"""Options that are fields of `TrainingSetup`; None if not given."""


def add_targets(group: argparse._ArgumentGroup) -> None:
    """Add what is adapted."""
    group.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="PRESET",
        help=f"{', '.join(PRESETS)} (default: the task's, else qv)",
    )
    group.add_argument(
        "--task",
        choices=TASKS,
        metavar="TASK",
        help=f"choose preset and rank for {', '.join(TASKS)}, and say why",
    )
    group.add_argument(
        "--roles",
        type=values.names,
        metavar="ROLE[=R],...",
        help="these roles instead of a preset, each with an own rank if given",
    )
    group.add_argument("--layers", metavar="A-B,...", help="only these layers, for example 16-31")
    group.add_argument(
        "--exclude",
        action="extend",
        type=values.names,
        default=[],
        metavar="NAME,...",
        help="leave these modules out: full names, last parts of names, or containers",
    )
    group.add_argument(
        "--tower",
        action="append",
        default=[],
        choices=TOWERS,
        metavar="TOWER",
        help=f"adapt this tower: {', '.join(TOWERS)} (default: the language model's); may be"
        " repeated",
    )
    group.add_argument(
        "--experts",
        action=YesOrNo,
        default=None,
        help="whether routed experts are adapted (default: as the preset says)",
    )


def add_numbers(group: argparse._ArgumentGroup) -> None:
    """Add how it is adapted."""
    group.add_argument("--rank", type=values.positive, metavar="R", help="rank of the main targets")
    group.add_argument(
        "--alpha",
        type=values.number,
        metavar="A",
        help="alpha of the main targets (default: 2 x R)",
    )
    group.add_argument("--dropout", type=values.number, metavar="P", help="LoRA dropout")
    group.add_argument(
        "--bias",
        choices=BIASES,
        default="none",
        metavar="WHICH",
        help=f"biases to train: {', '.join(BIASES)} (default: none)",
    )
    group.add_argument("--rslora", action="store_true", help="scale by alpha/sqrt(r) (rsLoRA)")
    group.add_argument("--dora", action="store_true", help="train magnitudes as well (DoRA)")
    group.add_argument("--init", metavar="NAME", help="initialization, for example pissa")
    group.add_argument(
        "--serve",
        action="extend",
        type=values.names,
        metavar="ENGINE,...",
        help="only what all of these engines serve as it is trained: vllm, sglang, llama.cpp, tgi,"
        " lorax, peft",
    )


def add_budgets(group: argparse._ArgumentGroup) -> None:
    """Add what the plan has to fit into."""
    group.add_argument(
        "--max-params",
        type=values.amount,
        metavar="N",
        help="largest rank with at most N trainable parameters, for example 10M",
    )
    group.add_argument(
        "--max-memory",
        type=values.memory,
        metavar="SIZE",
        help="change the plan until a training step fits into a device of this size, for example"
        " 24GiB or 80GB, and say what was given up",
    )
    group.add_argument(
        "--trade",
        type=values.names,
        metavar="WHAT,...",
        help=f"what may be given up for --max-memory: {', '.join(TRADES)}"
        " (default: checkpointing,batch,rank)",
    )
    group.add_argument(
        "--scores",
        metavar="FILE",
        help="choose the modules with the largest total of these scores within the budget, among"
        " those of --preset or --roles if given: JSON of module name or role and number",
    )


def add_memory(group: argparse._ArgumentGroup) -> None:
    """Add the training step whose memory is predicted."""
    group.add_argument(
        "--memory",
        action="store_true",
        help="predict the memory of one training step; so does every option of this group and"
        " --max-memory",
    )
    group.add_argument(
        "--memory-facts",
        action="store_true",
        help="predict as well what adding or dropping each role would do; takes longer",
    )
    group.add_argument(
        "--batch-size", type=values.positive, metavar="B", help="sequences a device (default: 1)"
    )
    group.add_argument(
        "--seq-len",
        type=values.positive,
        metavar="S",
        help="tokens a sequence (default: 2048, or as many as the model has positions)",
    )
    group.add_argument(
        "--gradient-accumulation",
        dest="accumulation",
        type=values.positive,
        metavar="N",
        help="batches per optimizer step; with more than one their gradients live through each"
        " later one (default: 1)",
    )
    _choice(group, "--dtype", DTYPES, "DTYPE", "of the base model")
    _choice(group, "--quantization", QUANTIZATIONS, "KIND", "of the base model")
    group.add_argument(
        "--kbit-upcast",
        action=YesOrNo,
        default=None,
        help="whether what is not quantized becomes float32, as by PEFT's"
        " prepare_model_for_kbit_training (default: it does not, as TRL's SFTTrainer leaves it)",
    )
    group.add_argument(
        "--autocast",
        action="store_true",
        default=None,
        help="run the forward pass in mixed precision, as the Trainer's bf16=True or fp16=True",
    )
    group.add_argument(
        "--gradient-checkpointing",
        action="store_true",
        default=None,
        help="run each block again in the backward pass instead of keeping its activations",
    )
    _choice(group, "--optimizer", OPTIMIZERS, "NAME", "")
    _choice(group, "--adapter-dtype", ADAPTER_DTYPES, "DTYPE", "of the LoRA matrices")
    group.add_argument(
        "--devices", type=values.positive, metavar="N", help="number of devices (default: 1)"
    )
    _choice(group, "--sharding", SHARDINGS, "KIND", "over the devices")
    _choice(group, "--device", DEVICES, "KIND", "that trains")


def _choice(
    group: argparse._ArgumentGroup, option: str, choices: tuple[str, ...], name: str, about: str
) -> None:
    """Add an option of which the first choice is the default, told apart from not given."""
    words = f"{about}: " if about else ""
    group.add_argument(
        option,
        choices=choices,
        metavar=name,
        help=f"{words}{', '.join(choices)} (default: {choices[0]})",
    )
