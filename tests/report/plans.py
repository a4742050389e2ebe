"""Hand-made plans and matches on the inventories of `builders`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice, Plan, Target
from lorascope.core.spec import LoraSpec
from lorascope.matching.result import EntryMatch, Match, MatchedTarget, Reason, SavedModule, Where


def plan_of(inventory: Inventory, roles: dict[str, int], **changes: Any) -> Plan:
    """A plan that adapts these roles at these ranks, with alpha twice the rank."""
    modules = [module for module in inventory.adaptable if str(module.role) in roles]
    targets = tuple(
        Target(
            module.path,
            module.role,
            module.tower,
            module.layer,
            rank=roles[module.role],
            alpha=2 * roles[module.role],
            params=roles[module.role] * module.lora_params_per_rank,
        )
        for module in modules
    )
    plan = Plan(
        model=inventory.model,
        preset="qv",
        adapter_config={
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "owner/tiny",
            "r": 8,
            "lora_alpha": 16,
            "lora_dropout": 0.05,
            "bias": "none",
            "target_modules": ["q_proj", "v_proj"],
            "exclude_modules": None,
            "rank_pattern": {},
            "use_rslora": False,
            "init_lora_weights": True,
        },
        targets=targets,
        saved_modules=(),
        trainable_params=sum(target.params for target in targets),
        adapter_bytes=13_648_688,
        covered_params=sum(module.params for module in modules),
        advice=(
            Advice("The classic.", "paper", "LoRA, table 5"),
            Advice("The model has no experts."),
        ),
        findings=(
            Finding("fused", "warning", "q_proj", "It is fused.", "Write qkv_proj.", ("a.b",)),
        ),
    )
    return replace(plan, **changes)


def match_of(inventory: Inventory, **changes: Any) -> Match:
    """What `q_proj`, `v_proj` and a misspelt name hit."""
    spec = LoraSpec(r=8, lora_alpha=16, target_modules=("q_proj", "v_proj", "vproj"))
    entries = []
    targets = []
    for entry in spec.target_modules or ():
        hit = [m for m in inventory.adaptable if m.path.endswith(f".{entry}")]
        reason = "Their full names end with it." if hit else "No module is called so."
        paths = tuple(module.path for module in hit)
        entries.append(EntryMatch(Where.TARGET_MODULES, entry, len(hit), paths, reason))
        targets += [
            MatchedTarget(
                module.path,
                is_parameter=False,
                rank=8,
                alpha=16,
                scaling=2.0,
                params=8 * module.lora_params_per_rank,
                entry=entry,
                reason=Reason.LIST_SUFFIX,
            )
            for module in hit
        ]
    match = Match(
        spec=spec,
        effective=replace(spec, target_parameters=("experts.gate_up_proj",)),
        targets=tuple(targets),
        saved=(SavedModule("score", 16, "score"),),
        trained_tokens=(),
        entries=tuple(entries),
        excluded=("lm_head",),
        trainable_params=sum(target.params for target in targets) + 16,
        warnings=("One entry hits nothing.",),
        peft_version="0.21.2",
    )
    return replace(match, **changes)
