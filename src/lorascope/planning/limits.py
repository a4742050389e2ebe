"""What PEFT would refuse of a plan, or fail on, told in the words of the options."""

from __future__ import annotations

from collections.abc import Sequence

from lorascope.core.errors import PlanError
from lorascope.core.roles import Kind
from lorascope.planning.request import PlanRequest
from lorascope.planning.selection import Selection
from lorascope.planning.targets import Planned
from lorascope.planning.words import listed


def check_kinds(request: PlanRequest, wanted: Sequence[Planned]) -> None:
    """Refuse options that PEFT does not take for the kinds of weight that are meant.

    Raises:
        PlanError: Such an option is asked for a plan that has such a weight.
    """
    _refuse_what_parameters_lack(request, wanted)
    _refuse_what_conv1d_lacks(request, wanted)


def check_ranks(request: PlanRequest, selection: Selection, unit: int) -> None:
    """Refuse ranks for which an initialization from the weights has no matrices.

    Raises:
        PlanError: A rank is odd or larger than a weight's smaller side.
    """
    if not request.starts_from_weights:
        return
    for chosen in selection.chosen:
        module, rank = chosen.module, chosen.rule.rank(unit)
        most = min(module.in_features or 0, module.out_features or 0)
        if rank > most or (request.init == "orthogonal" and rank % 2):
            expected = "an even rank of " if request.init == "orthogonal" else ""
            raise PlanError(
                f"--init {request.init}: {module.path} would get rank {rank}; expected {expected}"
                f"at most {most}."
            )


def _refuse_what_parameters_lack(request: PlanRequest, wanted: Sequence[Planned]) -> None:
    """PEFT's `ParamWrapper` takes neither DoRA nor an initialization from the weights."""
    parameters = [each for each in wanted if each.is_parameter]
    if not parameters or not (request.dora or request.starts_from_weights):
        return
    option = "--dora" if request.dora else f"--init {request.init}"
    linears = [p for p in parameters if p.module.kind is not Kind.EXPERT_PARAMETER]
    if linears:
        names = listed(list(dict.fromkeys(each.module.name for each in linears)))
        raise PlanError(
            f"{option}: PEFT does not take it for target_parameters, which have to name {names}"
            f" (as {linears[0].name}), also outside the routed experts: PEFT rewrites these names"
            " in target_modules to the routed experts.",
            "Drop the option, or use --preset attention.",
        )
    raise PlanError(
        f"{option}: PEFT does not take it for {parameters[0].name}, which can only be adapted"
        " through target_parameters.",
        "Drop the option, leave the routed experts out, or use --preset attention.",
    )


def _refuse_what_conv1d_lacks(request: PlanRequest, wanted: Sequence[Planned]) -> None:
    """PEFT's OLoRA takes a transposed weight as it lies.

    The two matrices then have each other's sizes, and the base weight loses the wrong product: the
    forward fails, or where the weight is square the model's output changes.

    Source: peft 0.21.2, `olora_init` in `tuners/lora/layer.py`, which unlike `pissa_init` does not
    look at `fan_in_fan_out`.
    """
    first = next((each for each in wanted if each.module.kind is Kind.CONV1D), None)
    if first is not None and request.init == "olora":
        raise PlanError(
            f"--init olora: PEFT gets it wrong on {first.name}, which is a Conv1D and so has a"
            " transposed weight.",
            "--init pissa and --init orthogonal are right there.",
        )
