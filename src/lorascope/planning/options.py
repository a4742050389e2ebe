"""A request from the options of a Python call."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lorascope.core.errors import PlanError
from lorascope.planning.request import PlanRequest


def request_from(**options: Any) -> PlanRequest:
    """Return the request that keyword options make. None holds for: as the preset or task says.

    Args:
        options: Any of these.
            preset: `qv`, `attention`, `extended`, `ffn`, `vod` or `all-linear`; default: the
                task's, and without a task `qv`.
            task: `classification`, `instruction`, `math`, `code`, `knowledge`, `style`, `rl` or
                `domain`; chooses preset and rank.
            rank: Rank of the preset's main targets.
            alpha: Alpha of the main targets; default 2·rank.
            dropout: `lora_dropout`; default 0.05, or 0 where a parameter is adapted directly.
            bias: `none`, `all` or `lora_only`.
            rslora: Whether to scale by alpha/√r.
            dora: Whether to train magnitudes as well.
            init: `init_lora_weights`: True, False, `gaussian`, `olora`, `pissa`, `pissa_niter_N`,
                `orthogonal` or `eva`.
            roles: Roles instead of a preset: `["q=8", "ffn.down"]`, `"q=8,ffn.down"` or
                `{"q": 8, "ffn.down": None}`.
            layers: Layer indices, `[0, 1, 4]` or `"0-1,4"`; default: all.
            exclude: Names of modules left out: full, their last parts, or of containers.
            towers: Towers to adapt, `["vision"]`; default: the model's main ones.
            experts: Whether routed experts are adapted; default: as the preset says.
            only: Full names; of the modules that all else means, these alone are adapted.
            max_params: Most trainable parameters, instead of a rank.
            peft_version: The PEFT release that shall carry the plan out.
            serve: Serving engines that shall all serve the plan as it is trained, `["vllm"]`.
            uniform: Whether all targets get the rank and alpha of the main ones.
            listed: Whether the targets are never written as a regular expression.

    Raises:
        PlanError: There is no such option, or its value is not one that it takes.
    """
    known = [field.name for field in fields(PlanRequest)]
    for name in options:
        if name not in known:
            from difflib import get_close_matches

            # Short names have little to be alike in, so little is asked.
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            raise PlanError(
                f"A plan has no option {name}; expected one of {', '.join(known)}.",
                f"Nearest: {near[0]}." if near else None,
            )
    return PlanRequest(**options)
