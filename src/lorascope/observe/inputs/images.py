"""Images, in the forms that classes take them in. One small function a form."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt, prod
from typing import Any

import torch

from lorascope.observe.inputs.facts import IMAGE_SIDE, Facts, pair
from lorascope.observe.inputs.form import Form


def _channels(facts: Facts) -> int:
    return int(facts.setting("num_channels", "in_channels", "in_chans", part="vision", default=3))


def _patch(facts: Facts) -> int:
    return pair(facts.setting("patch_size", part="vision", default=14))[0]


def _merge(facts: Facts) -> int:
    names = ("spatial_merge_size", "merge_size", "merge_kernel_size")
    return pair(facts.setting(*names, part="vision", default=1))[0]


def _frames(facts: Facts) -> int:
    return int(facts.setting("temporal_patch_size", "patch_temporal", part="vision", default=1))


def _size(facts: Facts) -> tuple[int, int]:
    names = ("image_size", "img_size", "input_size")
    return pair(facts.setting(*names, part="vision", default=IMAGE_SIDE))


def _pixels(facts: Facts, *shape: int) -> torch.Tensor:
    # Some classes leave out images that are all zero: they take them for padding.
    return torch.ones(shape, dtype=facts.dtype)


def _plain(facts: Facts) -> dict[str, Any]:
    return {"pixel_values": _pixels(facts, 1, _channels(facts), *_size(facts))}


def _plain_and_size(facts: Facts) -> dict[str, Any]:
    return {**_plain(facts), "image_sizes": torch.tensor([_size(facts)])}


def _of_any_size(facts: Facts) -> dict[str, Any]:
    """Images whose sizes are told beside them (Pixtral): a few patches will do."""
    side = 4 * _patch(facts) * _merge(facts)
    sizes = torch.tensor([[side, side]])
    return {"pixel_values": _pixels(facts, 1, _channels(facts), side, side), "image_sizes": sizes}


def _of_known_patches(facts: Facts) -> dict[str, Any]:
    """An image of a number of patches that the projector has queries for (Aria)."""
    patches = min(map(int, facts.setting("projector_patch_to_query_dict")))
    side = isqrt(patches) * _patch(facts)
    return {"pixel_values": _pixels(facts, 1, _channels(facts), side, side)}


def _in_two_sizes(facts: Facts) -> dict[str, Any]:
    """One image in two resolutions (DeepSeek-VL)."""
    sides = pair(facts.setting("image_size", part="high_res"))
    return {**_plain(facts), "high_res_pixel_values": _pixels(facts, 1, _channels(facts), *sides)}


def _pinpoints(facts: Facts) -> dict[str, Any]:
    """An image cut into tiles and one of the whole (LLaVA-NeXT)."""
    height, width = _size(facts)
    grid = facts.setting("image_grid_pinpoints")[0]
    tiles = 1 + -(-grid[0] // height) * -(-grid[1] // width)
    return {
        "pixel_values": _pixels(facts, 1, tiles, _channels(facts), height, width),
        "image_sizes": torch.tensor([grid]),
    }


def _several(facts: Facts) -> dict[str, Any]:
    """A list of images a sample, with the pixels that are no padding (Idefics 2)."""
    step = _patch(facts) * facts.setting("scale_factor", default=1)
    height, width = (max(step, side - side % step) for side in _size(facts))
    return {
        "pixel_values": _pixels(facts, 1, 1, _channels(facts), height, width),
        "pixel_attention_mask": torch.ones((1, 1, height, width), dtype=torch.bool),
    }


def _several_whole(facts: Facts) -> dict[str, Any]:
    """A list of images a sample, with those that are no padding."""
    return {
        "pixel_values": _pixels(facts, 1, 1, _channels(facts), *_size(facts)),
        "pixel_attention_mask": torch.ones((1, 1), dtype=torch.bool),
    }


def _list_of_images(facts: Facts) -> dict[str, Any]:
    return {"pixel_values": _pixels(facts, 1, 1, _channels(facts), *_size(facts))}


def _video(facts: Facts) -> dict[str, Any]:
    frames = facts.setting("num_frames", part="vision", default=4)
    return {"pixel_values": _pixels(facts, 1, frames, _channels(facts), *_size(facts))}


def _grid(facts: Facts) -> tuple[int, dict[str, Any]]:
    """Return the patches of an image that merges evenly, and the arguments that tell its grid."""
    merge = _merge(facts)
    side = 2 * max(2, merge)
    given = {
        "image_grid_thw": torch.tensor([[1, side, side]]),
        "image_grid_hw": torch.tensor([[side, side]]),
        "image_merge_sizes": torch.tensor([merge]),
    }
    return side * side, {name: value for name, value in given.items() if facts.takes(name)}


def _flattened(facts: Facts) -> dict[str, Any]:
    """All patches of all images in one row, with each image's grid (Qwen2-VL)."""
    patches, grid = _grid(facts)
    width = _channels(facts) * _frames(facts) * _patch(facts) ** 2
    return {"pixel_values": _pixels(facts, patches, width), **grid}


def _square_patches(facts: Facts) -> dict[str, Any]:
    """The same with patches that are still squares (Kimi)."""
    patches, grid = _grid(facts)
    patch = _patch(facts)
    return {"pixel_values": _pixels(facts, patches, _channels(facts), patch, patch), **grid}


def _merged_patches(facts: Facts) -> dict[str, Any]:
    """The same with squares of patches that become one feature, channels last (Inkling 2)."""
    patches, grid = _grid(facts)
    side = _merge(facts) * _patch(facts)
    return {"pixel_values": _pixels(facts, patches, side, side, _channels(facts)), **grid}


def _patches_of_frames(facts: Facts) -> dict[str, Any]:
    """Patches over some frames, channels last (Inkling)."""
    patch = _patch(facts)
    return {"pixel_values": _pixels(facts, 4, _frames(facts), patch, patch, _channels(facts))}


def _row_of_patches(facts: Facts) -> dict[str, Any]:
    """The patches of each image in a row, without a grid (Fuyu)."""
    return {"pixel_values": _pixels(facts, 1, 16, _channels(facts) * _patch(facts) ** 2)}


def _padded_patches(facts: Facts) -> dict[str, Any]:
    """The patches of each image in a row, filled up to one length (SigLIP 2)."""
    side = 4 * max(1, facts.setting("downsample_factor", default=1))
    width = _channels(facts) * _patch(facts) ** 2
    return {
        "pixel_values": _pixels(facts, 1, side * side, width),
        "pixel_attention_mask": torch.ones((1, side * side), dtype=torch.long),
        "spatial_shapes": torch.tensor([[side, side]]),
    }


def _placed_patches(facts: Facts) -> dict[str, Any]:
    """The patches of each image in a row, with the place of each (Gemma 4)."""
    side = 4 * facts.setting("pooling_kernel_size", part="vision", default=1)
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    width = _channels(facts) * _patch(facts) ** 2
    return {
        "pixel_values": _pixels(facts, 1, side * side, width),
        "image_position_ids": places[None],
    }


def _strips(facts: Facts) -> dict[str, Any]:
    """All patches beside each other in one strip, with each image's grid (MiniCPM-V)."""
    side = 8
    patch = _patch(facts)
    return {
        "pixel_values": _pixels(facts, 1, _channels(facts), patch, side * side * patch),
        "target_sizes": torch.tensor([[side, side]]),
    }


def _pooled_crops(facts: Facts) -> dict[str, Any]:
    """Crops as patches, with the patches that are pooled into each feature (Molmo 2)."""
    patch = _patch(facts)
    patches = prod(side // patch for side in _size(facts))
    return {
        "pixel_values": _pixels(facts, 1, patches, _channels(facts) * patch**2),
        "image_token_pooling": torch.arange(16).view(4, 4),
        "image_grids": torch.tensor([[2, 2, 0, 0]]),
        "image_num_crops": torch.tensor([1]),
    }


def _tiles(facts: Facts) -> dict[str, Any]:
    """Tiles of each image, with the number of the form they are cut in (Mllama)."""
    most = facts.setting("max_num_tiles", part="vision", default=4)
    return {
        "pixel_values": _pixels(facts, 1, 1, most, _channels(facts), *_size(facts)),
        "aspect_ratio_ids": torch.ones((1, 1), dtype=torch.long),
        "aspect_ratio_mask": torch.ones((1, 1, most), dtype=torch.long),
    }


def _numbered_patches(facts: Facts) -> dict[str, Any]:
    """Patches that begin with their row and column (Pix2Struct)."""
    patch = _channels(facts) * _patch(facts) ** 2
    width = 2 + int(facts.setting("patch_embed_hidden_size", part="vision", default=patch))
    return {"flattened_patches": _pixels(facts, 1, 16, width)}


FORMS = (
    Form(("pixel_values", "image_grid_thw"), _flattened),
    Form(("pixel_values", "image_grid_thw"), _square_patches),
    Form(("pixel_values", "image_grid_thw"), _merged_patches),
    Form(("pixel_values", "image_grid_hw"), _flattened),
    Form(("pixel_values", "spatial_shapes"), _padded_patches),
    Form(("pixel_values", "image_position_ids"), _placed_patches),
    Form(("pixel_values", "target_sizes"), _strips),
    Form(("pixel_values", "image_token_pooling"), _pooled_crops),
    Form(("pixel_values", "aspect_ratio_ids"), _tiles),
    Form(("pixel_values", "high_res_pixel_values"), _in_two_sizes),
    Form(("pixel_values", "pixel_attention_mask"), _several),
    Form(("pixel_values", "pixel_attention_mask"), _several_whole),
    Form(("pixel_values", "image_attention_mask"), _list_of_images),
    Form(("pixel_values", "image_sizes"), _pinpoints, ("image_grid_pinpoints",)),
    Form(("pixel_values", "image_sizes"), _of_any_size),
    Form(("pixel_values", "image_sizes"), _plain_and_size),
    Form(("pixel_values",), _of_known_patches, ("projector_patch_to_query_dict",)),
    Form(("pixel_values",), _plain),
    Form(("pixel_values",), _video),
    Form(("pixel_values",), _row_of_patches),
    Form(("pixel_values",), _patches_of_frames),
    Form(("flattened_patches",), _numbered_patches),
)
"""Forms of image inputs, the most particular first; of several that fit, the first that runs."""


def image_forms(facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield the arguments that carry one image, in each form that the class may take."""
    if getattr(facts.config, "vision_config", ...) is not None:
        yield from (form.make(facts) for form in FORMS if form.fits(facts))
