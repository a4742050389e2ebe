"""What is adapted, counted in words."""

import builders
from lorascope.matching import MatchedTarget
from lorascope.matching.result import Reason
from lorascope.report.coverage import adapted_text

MODEL = builders.mixture()


def target(path: str) -> MatchedTarget:
    """A target that is reached as a parameter, or as the module that it is."""
    is_parameter = "experts." in path or path.endswith(".weight")
    return MatchedTarget(
        path, is_parameter, 8, 16.0, 2.0, params=1, entry="", reason=Reason.LIST_SUFFIX
    )


Q_PROJ = target("model.layers.1.self_attn.q_proj")
ROUTER = target("model.layers.1.mlp.gate.weight")
DOWN = target("model.layers.1.mlp.experts.down_proj")
GATE_UP = target("model.layers.1.mlp.experts.gate_up_proj")


def test_only_parameters_of_experts_are_counted_as_such() -> None:
    found = (Q_PROJ, ROUTER, DOWN, GATE_UP)
    words = "1 module, 2 expert parameters and 1 other parameter"
    assert adapted_text(found, MODEL) == words
    assert adapted_text((ROUTER,), MODEL) == "1 parameter"
    assert adapted_text((Q_PROJ, DOWN), MODEL) == "1 module and 1 expert parameter"
    assert adapted_text((), MODEL) == ""
