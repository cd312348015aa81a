"""What arguments and weights of the published latent spectral models mean here.

Source: the classes and keys of thuml/Latent-Spectral-Models, folder models, commit d5a0b40.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .exact_loading import load_exactly
from .spectral_tokens import NeuralSpectralBlock

# Files of the published code, each with a class Model, and their numbers of axes.
DIMS = {"LSM_2D": 2, "LSM_3D": 3}
IRREGULAR = "LSM_Irregular_Geo"
# Official prefix (a pattern) and ours.
PARTS = (
    (r"inc\.double_conv\.", "body.encoder.0."),
    (r"down(\d)\.maxpool_conv\.1\.double_conv\.", r"body.encoder.\1."),
    (r"outc\.conv\.", "body.last."),
    (r"fc0\.", "lifting."),
    (r"fc1\.", "projection.0."),
    (r"fc2\.", "projection.2."),
)
# Layers of the official coordinate map and ours.
MAP = {
    "fc0": "first",
    "fc_code": "code",
    "fc_no_code": "without_code",
    "fc1": "hidden.0",
    "fc2": "hidden.1",
    "fc3": "hidden.2",
    "fc4": "last",
}


def operator_arguments(
    variant: str,
    *,
    in_dim: int,
    out_dim: int,
    d_model: int,
    num_token: int,
    num_basis: int,
    patch_size: str | Sequence[int],
    padding: str | Sequence[int],
) -> dict[str, Any]:
    """Return the arguments of an `LSM` that computes what an official model does.

    Args:
        variant: file of the class: LSM_2D or LSM_3D.
        in_dim, out_dim, d_model, num_token, num_basis: of the official model.
        patch_size: points per axis, first axis first.
        padding: points per axis, last axis first, as that code takes them.

    Raises:
        ValueError: an unknown file, or another number of axes than it has.
    """
    dims = DIMS.get(variant)
    if dims is None:
        raise ValueError(f"variant is {variant!r}, expected one of {tuple(DIMS)}")
    return {
        "in_channels": in_dim,
        "out_channels": out_dim,
        "width": d_model,
        "dims": dims,
        "patch": _numbers(patch_size),
        "padding": _numbers(padding)[::-1],
        "tokens": num_token,
        "basis": num_basis,
    }


def operator_weights(state_dict: Mapping[str, Tensor], dims: int) -> dict[str, Tensor]:
    """Return the weights of an official model on a grid under the names of an `LSM`."""
    weights = body_weights(state_dict)
    for name in ("lifting.weight", "projection.0.weight", "projection.2.weight"):
        # Linear maps of the last axis there, convolutions with one point here.
        weights[name] = weights[name].reshape(*weights[name].shape, *[1] * dims)
    return weights


def body_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that models on grids and point clouds share, under our names.

    Raises:
        ValueError: a key that no official model has.
    """
    weights: dict[str, Tensor] = {}
    blocks: dict[str, dict[str, Tensor]] = {}
    for key, value in state_dict.items():
        if match := re.fullmatch(r"process(\d)\.(.+)", key):
            blocks.setdefault(f"body.blocks.{int(match[1]) - 1}", {})[match[2]] = value
        elif match := re.fullmatch(r"up(\d)\.conv\.double_conv\.(.+)", key):
            weights[f"body.decoder.{int(match[1]) - 1}.{match[2]}"] = value
        else:
            weights[_name(key)] = value
    for name, block in blocks.items():
        weights |= {f"{name}.{own}": value for own, value in block_weights(block).items()}
    return weights


def block_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of one official spectral block under the names of ours."""
    weights = {"tokens": state_dict["latent"], "series": state_dict["weights"]}
    for kind in ("weight", "bias"):
        # Rows alternate between keys and values there; convolutions with one point are matrices.
        both = state_dict[f"encoder_attn.{kind}"]
        rows = torch.cat([both[::2], both[1::2], state_dict[f"decoder_attn.{kind}"]])
        weights[f"projection.{kind}"] = rows.flatten(1) if kind == "weight" else rows
    return weights


def official_block(
    state_dict: Mapping[str, Tensor],
    *,
    width: int,
    num_basis: int,
    num_token: int,
    patch_size: Sequence[int],
) -> NeuralSpectralBlock:
    """Return the spectral block that an official one is, in the dtype of its weights.

    Args:
        state_dict: of the class NeuralSpectralBlock2d of any file.
        width, num_basis, num_token: arguments of the class.
        patch_size: unused: our block is given the patch with the field.
    """
    del patch_size
    block = NeuralSpectralBlock(width, tokens=num_token, basis=num_basis)
    block.to(state_dict["latent"].dtype)
    load_exactly(block, block_weights(state_dict))
    return block


def irregular_arguments(
    variant: str,
    weights: Mapping[str, Tensor],
    *,
    in_dim: int,
    out_dim: int,
    d_model: int,
    num_token: int,
    num_basis: int,
    patch_size: str | Sequence[int],
    padding: str | Sequence[int],
) -> dict[str, Any]:
    """Return the arguments of an `LSMIrregular` that computes what an official model does.

    Args:
        variant: LSM_Irregular_Geo.
        weights: see `irregular_weights`; they tell the sizes of the coordinate map.
        in_dim, out_dim, d_model, num_token, num_basis, patch_size: of the official model.
        padding: never read.

    Raises:
        ValueError: another variant, or patches that are not square.
    """
    del padding
    patch = set(_numbers(patch_size))
    if variant != IRREGULAR or len(patch) != 1:
        raise ValueError(
            f"variant is {variant!r} and patch_size {patch_size!r}, expected {IRREGULAR!r} and "
            f"square patches"
        )
    return {
        "in_channels": in_dim,
        "out_channels": out_dim,
        "width": d_model,
        "condition_dim": weights["map.code.weight"].shape[1],
        "patch": patch.pop(),
        "tokens": num_token,
        "basis": num_basis,
        "map_width": len(weights["map.first.weight"]),
        "published": True,
        "idle": True,
    }


def irregular_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of an official model for points under the names of an `LSMIrregular`."""
    rest, weights = {}, {}
    spectra: dict[str, dict[str, Tensor]] = {}
    for key, value in state_dict.items():
        if match := re.fullmatch(r"iphi[./](\w+)\.(weight|bias)", key):
            weights[f"map.{MAP[match[1]]}.{match[2]}"] = value
        elif match := re.fullmatch(r"fftproject_(in|out)\.(weights[12])", key):
            spectra.setdefault(match[1], {})[match[2]] = value
        elif match := re.fullmatch(r"convproject_(in|out)\.(weight|bias)", key):
            kind = "grid" if match[1] == "in" else "point"
            weights[f"{kind}_coordinates.{match[2]}"] = value
        else:
            rest[key] = value
    for direction, parts in spectra.items():
        # (in, out, k, l), k >= 0 before k < 0, becomes (k, l, in, out) as pairs.
        both = torch.cat([parts["weights1"], parts["weights2"]], 2).permute(2, 3, 0, 1)
        name = "to_grid" if direction == "in" else "to_points"
        weights[f"{name}.weight"] = torch.view_as_real(both.contiguous())
    weights |= body_weights(rest)
    for name in ("lifting.weight", "projection.0.weight", "projection.2.weight"):
        weights[name] = weights[name][..., None]
    return weights


def _name(key: str) -> str:
    for pattern, ours in PARTS:
        if re.match(pattern, key):
            return re.sub(f"^{pattern}", ours, key)
    raise ValueError(f"state_dict holds {key!r}, expected weights of an official LSM only")


def _numbers(value: str | Sequence[int]) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(int(part) for part in parts)
