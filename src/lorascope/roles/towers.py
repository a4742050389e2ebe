"""Which part of a composite model a module belongs to, where its config did not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.roles import Kind, Role, Tower

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from lorascope.core.inventory import Module
    from lorascope.roles.context import Context

_IMAGE_DIMENSIONS = 2


def named_tower(path: str, context: Context) -> Tower | None:
    """Return the tower that a part of a module's path names, or None."""
    for part in path.split("."):
        tower = context.tower_of_part.get(part)
        if tower is not None:
            return tower
    return None


def encoder_and_decoder(blocks: Iterable[str]) -> Mapping[str, Tower]:
    """Find an encoder and a decoder side by side, both with blocks of their own.

    Args:
        blocks: Paths of the blocks that belong to no tower by config or by name.

    Returns:
        Path of the encoder and of the decoder → tower; empty for any other model.
    """
    roots = [_roots(block.split(".")) for block in blocks]
    found = {root for group in roots for root in group}
    prefixes = {
        root.removesuffix("encoder")
        for root in found
        if root.rpartition(".")[2] == "encoder"
        and f"{root.removesuffix('encoder')}decoder" in found
    }
    if not prefixes:
        return {}
    outermost = min(prefixes, key=lambda prefix: (prefix.count("."), prefix))
    return {f"{outermost}encoder": Tower.ENCODER, f"{outermost}decoder": Tower.DECODER}


def _roots(parts: Sequence[str]) -> list[str]:
    return [
        ".".join(parts[: index + 1])
        for index, part in enumerate(parts)
        if part in ("encoder", "decoder")
    ]


def below(path: str, roots: Mapping[str, Tower]) -> Tower | None:
    """Return the tower of the root that `path` is or lies below, or None."""
    for root, tower in roots.items():
        if path == root or path.startswith(f"{root}."):
            return tower
    return None


def sense_tower(
    modules: Iterable[Module], roles: Mapping[str, Role], model_type: str, context: Context
) -> Tower | None:
    """Return audio or vision for a model that listens or looks, or None if nothing says so.

    Args:
        modules: All modules of the model.
        roles: Path of a module → its role.
        model_type: Model type of the whole model; empty if it is not known.
        context: The rows that name audio models.
    """
    for pattern, tower in context.body_towers:
        if pattern.match(model_type):
            return tower
    looks = any(_is_for_images(module, roles.get(module.path)) for module in modules)
    return Tower.VISION if looks else None


def _is_for_images(module: Module, role: Role | None) -> bool:
    if role is Role.EMBEDDING_PATCH:
        return True
    return module.kind is Kind.CONVOLUTION and len(module.kernel or ()) >= _IMAGE_DIMENSIONS


def lone_tower(present: Collection[Tower], sense: Tower | None) -> Mapping[Tower, Tower]:
    """Say what an encoder without a decoder is, and a decoder without an encoder.

    A lone encoder is the part that listens or looks, if the model does so and another part reads
    text; a lone decoder is the language model of a composite.

    Args:
        present: All towers of the model.
        sense: What the model does beside text: audio, vision or None.
    """
    if Tower.ENCODER in present and Tower.DECODER not in present:
        return {Tower.ENCODER: sense if sense is Tower.AUDIO else Tower.TEXT}
    if Tower.DECODER in present and Tower.ENCODER not in present:
        return {Tower.DECODER: Tower.TEXT}
    return {}


def main_towers(modules: Iterable[Module]) -> tuple[Tower, ...]:
    """Return the towers that presets adapt: text with encoder and decoder, else all there are.

    Args:
        modules: Every module that lies in a block, with its tower.
    """
    present = {module.tower for module in modules}
    language = tuple(t for t in (Tower.TEXT, Tower.ENCODER, Tower.DECODER) if t in present)
    others = tuple(tower for tower in Tower if tower in present)
    return language or others or (Tower.TEXT,)
