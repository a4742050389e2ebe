"""Hand-made inventories for tests that need no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lorascope.core.inventory import BuiltWith, Inventory, ModelInfo, Module, Parameter
from lorascope.core.observation import Call, ObservationInfo, Observed
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.matching.names import ancestors

BUILT = BuiltWith("meta", lorascope="0.0.0", transformers="5.23.0", torch="2.13.0")


def container(path: str, *shapes: tuple[int, ...], cls: str = "Block", **more: Any) -> Module:
    """A module that LoRA does not adapt, holding parameters of these shapes directly."""
    parameters = tuple(Parameter(f"p{i}" if i else "weight", s) for i, s in enumerate(shapes))
    return Module(path, cls, Kind.CONTAINER, parameters=parameters, **more)


def linear(
    path: str,
    features: tuple[int, int],
    role: Role = Role.UNKNOWN,
    *,
    bias: bool = False,
    tied_to: str | None = None,
    **more: Any,
) -> Module:
    """An `nn.Linear`."""
    inputs, outputs = features
    parameters = (Parameter("weight", (outputs, inputs), tied_to),)
    if bias:
        parameters += (Parameter("bias", (outputs,)),)
    evidence = Evidence.UNKNOWN if role is Role.UNKNOWN else Evidence.NAMED
    values: dict[str, Any] = {"cls": "Linear", "kind": Kind.LINEAR, "evidence": evidence} | more
    return Module(
        path,
        role=role,
        in_features=inputs,
        out_features=outputs,
        parameters=parameters,
        total_params=sum(p.count for p in parameters),
        **values,
    )


def embedding(path: str, entries: int, dim: int, **more: Any) -> Module:
    """An `nn.Embedding` of tokens."""
    return replace(
        linear(path, (entries, dim), Role.EMBEDDING_TOKEN, **more),
        cls="Embedding",
        kind=Kind.EMBEDDING,
    )


def expert_parameter(
    holder: str, name: str, experts: int, features: tuple[int, int], role: Role, layer: int
) -> tuple[Parameter, Module]:
    """A 3-D expert parameter: what its holder holds, and its own entry."""
    inputs, outputs = features
    parameter = Parameter(name, (experts, outputs, inputs))
    return parameter, Module(
        f"{holder}.{name}",
        "Parameter",
        Kind.EXPERT_PARAMETER,
        role=role,
        evidence=Evidence.NAMED,
        layer=layer,
        in_features=inputs,
        out_features=outputs,
        experts=experts,
        total_params=parameter.count,
    )


def inventory_of(modules: list[Module], **info: Any) -> Inventory:
    """An inventory whose total is counted from the parameters, each tensor once."""
    total = sum(
        p.count
        for module in modules
        if module.kind is not Kind.EXPERT_PARAMETER
        for p in module.parameters
        if p.tied_to is None
    )
    known: dict[str, Any] = {
        "reference": "tiny",
        "model_type": "llama",
        "cls": "LlamaForCausalLM",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 32,
        "total_params": total,
        "dtype": "bfloat16",
    }
    return Inventory(ModelInfo(**(known | info)), BUILT, tuple(modules))


def llama(layers: int = 3, **info: Any) -> Inventory:
    """A small Llama: hidden 8, key and value 4, intermediate 16, vocabulary 32."""
    modules = [container(""), container("model"), embedding("model.embed_tokens", 32, 8)]
    for layer in range(layers):
        block = f"model.layers.{layer}"
        modules.append(container(block, layer=layer))
        modules += _attention(block, layer)
        modules += [
            linear(f"{block}.mlp.gate_proj", (8, 16), Role.FFN_GATE, layer=layer),
            linear(f"{block}.mlp.up_proj", (8, 16), Role.FFN_UP, layer=layer),
            linear(f"{block}.mlp.down_proj", (16, 8), Role.FFN_DOWN, layer=layer),
            container(f"{block}.input_layernorm", (8,), cls="LlamaRMSNorm", layer=layer),
        ]
    modules.append(container("model.norm", (8,), cls="LlamaRMSNorm"))
    modules.append(linear("lm_head", (8, 32), Role.HEAD_LM))
    return inventory_of(modules, **({"num_hidden_layers": layers} | info))


def observed(layers: int = 3, **info: Any) -> Inventory:
    """The small Llama as a forward pass might show it: gate is dead, the head was not reached."""
    inventory = llama(layers, **info)
    modules = tuple(
        replace(m, evidence=Evidence.OBSERVED, observed=_seen(m)) if m.kind.adaptable else m
        for m in inventory.modules
    )
    marked = tuple(
        replace(m, hazards=("forward_never_called",)) if m.role is Role.FFN_GATE else m
        for m in modules
    )
    run = ObservationInfo(("input_ids",), attentions=layers)
    return replace(inventory, modules=marked, observation=run)


def _seen(module: Module) -> Observed:
    if module.role is Role.HEAD_LM:
        return Observed(Call.NOT_REACHED)
    if module.role is Role.FFN_GATE:
        return Observed(Call.READ_DIRECTLY)
    first = 2 * (module.layer or 0)
    group = {Role.EMBEDDING_TOKEN: 100, Role.FFN_UP: first + 1, Role.FFN_DOWN: first + 50}
    group[Role.ATTENTION_O] = first + 51
    kept = module.role is Role.ATTENTION_O
    flow = None if module.role is Role.EMBEDDING_TOKEN else module.role
    return Observed(Call.CALLED, flow, True, group.get(module.role, first), kept)


def mixture(layers: int = 3, experts: int = 4, **info: Any) -> Inventory:
    """A mixture of experts with a dense first layer, a router and stacked expert parameters."""
    modules = [container(""), container("model"), embedding("model.embed_tokens", 32, 8)]
    for layer in range(layers):
        block = f"model.layers.{layer}"
        modules.append(container(block, layer=layer))
        modules += _attention(block, layer)
        modules += _dense(block, layer) if layer == 0 else _experts(block, layer, experts)
    modules.append(linear("lm_head", (8, 32), Role.HEAD_LM, tied_to="model.embed_tokens.weight"))
    known = {"model_type": "qwen3_moe", "cls": "Qwen3MoeForCausalLM", "num_experts": experts}
    return inventory_of(modules, **(known | {"experts_per_token": 2} | info))


def completed(inventory: Inventory) -> Inventory:
    """Add the containers that the models here leave out, as every real one has them."""
    known = {module.path for module in inventory.modules}
    modules: list[Module] = []
    for module in inventory.modules:
        for above in reversed([*ancestors(module.path)]):
            if above not in known:
                known.add(above)
                modules.append(container(above))
        modules.append(module)
    return replace(inventory, modules=tuple(modules))


def wide(layers: int = 60, experts: int = 248) -> Inventory:
    """A model of 60,000 modules: a mixture whose experts are linears of their own."""
    modules = [container(""), container("model"), embedding("model.embed_tokens", 32, 8)]
    modules.append(container("model.layers", cls="ModuleList"))
    for layer in range(layers):
        block = f"model.layers.{layer}"
        modules += [container(block, layer=layer), container(f"{block}.self_attn", layer=layer)]
        modules += _attention(block, layer)
        modules.append(container(f"{block}.mlp", layer=layer))
        modules.append(container(f"{block}.mlp.experts", layer=layer, cls="ModuleList"))
        for expert in range(experts):
            holder = f"{block}.mlp.experts.{expert}"
            modules.append(container(holder, layer=layer))
            modules += [
                linear(f"{holder}.gate_proj", (8, 16), Role.MOE_EXPERTS_GATE, layer=layer),
                linear(f"{holder}.up_proj", (8, 16), Role.MOE_EXPERTS_UP, layer=layer),
                linear(f"{holder}.down_proj", (16, 8), Role.MOE_EXPERTS_DOWN, layer=layer),
            ]
    modules.append(linear("lm_head", (8, 32), Role.HEAD_LM))
    return inventory_of(
        modules,
        model_type="unlisted",
        cls="WideForCausalLM",
        num_hidden_layers=layers,
        num_experts=experts,
        experts_per_token=2,
    )


def multimodal(**info: Any) -> Inventory:
    """The small Llama with a vision tower and a projector."""
    text = llama()
    vision = [
        linear(
            f"vision.layers.{layer}.attn.{name}_proj",
            (6, 6),
            role,
            layer=layer,
            tower=Tower.VISION,
            bias=True,
        )
        for layer in range(2)
        for name, role in (("q", Role.ATTENTION_Q), ("v", Role.ATTENTION_V))
    ]
    projector = linear("projector.0", (6, 8), Role.PROJECTOR, tower=Tower.PROJECTOR)
    modules = [*text.modules[:-1], *vision, projector, text.modules[-1]]
    return inventory_of(modules, **({"model_type": "gemma3"} | info))


def _attention(block: str, layer: int) -> Iterator[Module]:
    rows = (
        ("q", Role.ATTENTION_Q, (8, 8)),
        ("k", Role.ATTENTION_K, (8, 4)),
        ("v", Role.ATTENTION_V, (8, 4)),
        ("o", Role.ATTENTION_O, (8, 8)),
    )
    for name, role, features in rows:
        yield linear(f"{block}.self_attn.{name}_proj", features, role, layer=layer)


def _dense(block: str, layer: int) -> Iterator[Module]:
    yield linear(f"{block}.mlp.up_proj", (8, 16), Role.FFN_UP, layer=layer)
    yield linear(f"{block}.mlp.down_proj", (16, 8), Role.FFN_DOWN, layer=layer)


def _experts(block: str, layer: int, experts: int) -> Iterator[Module]:
    holder = f"{block}.mlp.experts"
    up_parameter, up = expert_parameter(
        holder, "gate_up_proj", experts, (8, 32), Role.MOE_EXPERTS_GATE_UP, layer
    )
    down_parameter, down = expert_parameter(
        holder, "down_proj", experts, (16, 8), Role.MOE_EXPERTS_DOWN, layer
    )
    yield Module(
        f"{block}.mlp.gate",
        "Qwen3MoeTopKRouter",
        Kind.NOT_ADAPTABLE,
        role=Role.MOE_ROUTER,
        evidence=Evidence.NAMED,
        layer=layer,
        in_features=8,
        out_features=experts,
        parameters=(Parameter("weight", (experts, 8)),),
        total_params=experts * 8,
        hazards=("unsupported_class", "router"),
    )
    yield Module(
        holder,
        "Qwen3MoeExperts",
        Kind.CONTAINER,
        layer=layer,
        parameters=(up_parameter, down_parameter),
    )
    yield up
    yield down
