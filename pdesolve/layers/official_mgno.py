"""What arguments and weights of the published multigrid operators mean here.

Source: the classes and keys of xlliu2017/MgNO, models.py, commit 3a68a90.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import Grid
from .boundary import Boundary
from .exact_loading import load_exactly
from .vcycle import VCycle

BOUNDARY_OF_PADDING: dict[str, Boundary] = {
    "zeros": "dirichlet",
    "reflect": "neumann_node",
    "replicate": "neumann_cell",
    "circular": "periodic",
}
ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu, "tanh": torch.tanh}
# The class of the V-cycles of a model, and the arguments that it hands on to them.
CYCLES = {
    "MgNO_DC": "MgConv_DC",
    "MgNO_DC_smooth": "MgConv_DC_smooth",
    "MgNO_NS": "MgConv",
    "MgNO_helm": "MgConv_helm",
    "MgNO_helm2": "MgConv_helm3",
}
CHOICES: dict[str, set[str]] = {
    "MgNO_DC": {"padding_mode"},
    "MgNO_DC_smooth": {"padding_mode"},
    "MgNO_NS": {"padding_mode", "bias", "use_res", "elementwise_affine"},
    "MgNO_helm": set(),
    "MgNO_helm2": set(),
}
# Points per axis of the transposed convolutions that are written into the classes.
SMOOTH_KERNELS = (3, 4, 3, 3, 4)
HELMHOLTZ_KERNELS = (3, 4, 4, 3)
# Sides of the grids that are written into the classes.
NAVIER_STOKES_SIDE, HELMHOLTZ_SIDE = 64, 101


def cycle_arguments(
    variant: str,
    num_iteration: Sequence[Any],
    *,
    padding_mode: str = "zeros",
    bias: bool = False,
    use_res: bool = False,
    elementwise_affine: bool = True,
) -> dict[str, Any]:
    """Return the arguments of a `VCycle` that computes what an official class does.

    Args:
        variant: name of the class: MgConv, MgConv_DC, MgConv_DC_smooth, MgConv_helm, MgConv_helm2
            or MgConv_helm3.
        num_iteration: pairs of counts, for MgConv_helm counts, finest level first.
        padding_mode, bias, use_res, elementwise_affine: of the classes that know them. The
            Helmholtz classes reflect whatever the padding mode.

    Raises:
        ValueError: an unknown class, or a number of levels that it cannot have.
    """
    counts = [n if isinstance(n, Sequence) else (n, 0) for n in num_iteration]
    iterations = tuple((int(before), int(after)) for before, after in counts)
    options: dict[str, Any] = {"iterations": iterations}
    if variant in ("MgConv_helm", "MgConv_helm2", "MgConv_helm3"):
        return options | _helmholtz(variant, len(iterations), bias=bias)
    if variant not in ("MgConv", "MgConv_DC", "MgConv_DC_smooth"):
        raise ValueError(
            f"variant is {variant!r}, expected a class of the published code: MgConv, MgConv_DC, "
            f"MgConv_DC_smooth, MgConv_helm, MgConv_helm2 or MgConv_helm3"
        )
    if padding_mode not in BOUNDARY_OF_PADDING:
        raise ValueError(
            f"padding_mode is {padding_mode!r}, expected one of {tuple(BOUNDARY_OF_PADDING)}"
        )
    options |= {
        "boundary": BOUNDARY_OF_PADDING[padding_mode],
        "bias": bias,
        "restrict_residual": use_res,
        "transfer": "zero",
        "idle": "last",
    }
    if variant == "MgConv":
        options["norm"] = "pixelwise" if elementwise_affine else "plain"
        options["shape"] = (NAVIER_STOKES_SIDE,) * 2
    if variant == "MgConv_DC_smooth":
        kernels = SMOOTH_KERNELS[: len(iterations) - 1]
        options["prolongation_kernels"] = kernels
    return options


def _helmholtz(variant: str, levels: int, *, bias: bool) -> dict[str, Any]:
    if levels != len(HELMHOLTZ_KERNELS) + 1:
        raise ValueError(
            f"num_iteration has {levels} levels, expected {len(HELMHOLTZ_KERNELS) + 1}: the "
            f"official class runs with no other number"
        )
    options: dict[str, Any] = {
        "boundary": "neumann_node",
        "prolongation_kernels": HELMHOLTZ_KERNELS,
        "transfer": "unpadded",
        "growth": variant != "MgConv_helm3",
        "shape": (HELMHOLTZ_SIDE,) * 2,
    }
    if variant == "MgConv_helm":
        return options | {"bias": True, "idle": "first"}
    norms = ("pixelwise", "plain", "plain", "plain")
    return options | {"bias": bias, "norm": norms, "idle": "last"}


def official_vcycle(
    state_dict: Mapping[str, Tensor],
    *,
    variant: str,
    num_channel_u: int,
    num_channel_f: int,
    num_iteration: Sequence[Any],
    init: bool = False,
    **choices: Any,
) -> VCycle:
    """Return the V-cycle that an official one is, in the dtype of its weights.

    Args:
        state_dict: of the class `variant`, with its own keys.
        variant: see `cycle_arguments`.
        num_channel_u, num_channel_f, num_iteration, choices: arguments of the official class.
        init: another initialisation, which loaded weights do not know.

    Raises:
        ValueError: keys are missing or not those of the class.
    """
    del init
    arguments = cycle_arguments(variant, num_iteration, **choices)
    cycle = VCycle(num_channel_f, num_channel_u, **arguments)
    cycle.to(next(iter(state_dict.values())).dtype)
    load_exactly(cycle, cycle_weights(state_dict, arguments))
    return cycle


def operator_arguments(
    variant: str,
    *,
    num_layer: int,
    num_channel_u: int,
    num_channel_f: int,
    num_iteration: Sequence[Any],
    num_classes: int = 1,
    in_chans: int = 1,
    output_dim: int = 1,
    normalizer: None = None,
    activation: str = "gelu",
    init: bool = False,
    **choices: Any,
) -> dict[str, Any]:
    """Return the arguments of an `MgNO` that computes what an official model does.

    Args:
        variant: name of the class: MgNO_DC, MgNO_DC_smooth, MgNO_NS, MgNO_helm or MgNO_helm2.
        num_layer, num_channel_u, num_channel_f, num_iteration, activation: of the class.
        num_classes, in_chans, init: without a meaning for loaded weights.
        output_dim: channels of the output of MgNO_NS with a network as head; 1 in all others.
        normalizer: None; decode what the operator returns yourself, or wrap it in `Normalized`.
        choices: what only some classes know: padding_mode, bias, use_res, elementwise_affine,
            mlp_hidden_dim, if_mlp.

    Raises:
        ValueError: an unknown class, activation or argument.
    """
    del num_classes, in_chans, init
    if variant not in CYCLES or activation not in ACTIVATIONS or normalizer is not None:
        raise ValueError(
            f"variant is {variant!r}, activation {activation!r} and normalizer {normalizer!r}, "
            f"expected one of {tuple(CYCLES)}, one of {tuple(ACTIVATIONS)}, and None"
        )
    hidden = choices.pop("mlp_hidden_dim", 0)
    cycle_head = choices.pop("if_mlp", variant == "MgNO_helm")
    if variant == "MgNO_NS":
        # The class takes a padding mode and does not read it.
        choices["padding_mode"] = "circular"
    unknown = choices.keys() - CHOICES[variant]
    if unknown:
        raise ValueError(f"{variant} takes no {sorted(unknown)}, expected {CHOICES[variant]}")
    arguments = cycle_arguments(CYCLES[variant], num_iteration, **choices)
    shape = arguments.pop("shape", None)
    periodic = variant == "MgNO_NS"
    head = "affine" if variant == "MgNO_helm2" else "network" if hidden else "linear"
    return arguments | {
        "in_channels": num_channel_f,
        "out_channels": output_dim if hidden else 1,
        "width": num_channel_u,
        "layers": num_layer,
        "domain": None if shape is None else Grid(shape, 1.0, periodic),
        "layer_norm": "pixelwise" if variant == "MgNO_helm" else None,
        "pointwise": variant in ("MgNO_DC", "MgNO_DC_smooth"),
        "residual": periodic,
        "head": "cycle" if cycle_head else head,
        "head_width": hidden,
        "activation": ACTIVATIONS[activation],
    }


def operator_weights(
    state_dict: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the weights of an official model under the names of an `MgNO`.

    Raises:
        ValueError: a key that no official model has, or statistics of data among the weights.
    """
    weights = {}
    cycles: dict[str, dict[str, Tensor]] = {}
    for key, value in state_dict.items():
        if match := re.fullmatch(r"conv_list\.(\d+)\.(.+)", key):
            cycles.setdefault(f"cycles.{match[1]}", {})[match[2]] = value
        elif match := re.fullmatch(r"linear_list\.(.+)", key):
            weights[f"pointwise.{match[1]}"] = value
        elif match := re.fullmatch(r"norm_layer_list\.(.+)", key):
            weights[f"norms.{match[1]}"] = value.movedim(0, -1)
        elif match := re.fullmatch(r"(?:linear|last_layer|mlp)\.((?:[02]\.)?(?:weight|bias))", key):
            weights[f"head.{match[1]}"] = value
        elif match := re.fullmatch(r"(?:last_layer|mlp)\.(.+)", key):
            cycles.setdefault("head", {})[match[1]] = value
        else:
            raise ValueError(
                f"state_dict holds {key!r}, expected weights of an official MgNO only: leave the "
                f"statistics of its normalizer out, and decode what the operator returns"
            )
    for name, cycle in cycles.items():
        found = cycle_weights(cycle, arguments)
        weights |= {f"{name}.{own}": value for own, value in found.items()}
    return weights


def cycle_weights(
    state_dict: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the weights of one official V-cycle under the names of a `VCycle`."""
    weights = {}
    for key, value in state_dict.items():
        name = _name(key, arguments["iterations"], arguments["idle"])
        if name is not None:
            # Scales and shifts of pixels lie here with their channels last.
            weights[name] = value.movedim(0, -1) if name.startswith("norms.") else value
    return weights


def _name(key: str, iterations: Sequence[tuple[int, int]], idle: str) -> str | None:
    """Our name of an official weight, None for one that no grid of these levels uses."""
    last = len(iterations) - 1
    if match := re.fullmatch(r"RTlayers\.(\d+)\.weight", key):
        level = int(match[1])
        # MgConv_DC_smooth builds five of them for any number of levels.
        return f"prolongations.{level}.convolution.weight" if level < last else None
    if match := re.fullmatch(r"norm_layer_list\.(\d+)\.(weight|bias)", key):
        return f"norms.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"layer(\d+)\.0\.(Pi|R)\.weight", key):
        field = "u" if match[2] == "Pi" else "f"
        return f"restrictions_{field}.{int(match[1]) - 1}.convolution.weight"
    match = re.fullmatch(r"(post_smooth_)?layer(\d+)\.(\d+)\.([AS])\.(weight|bias)", key)
    if match is None:
        raise ValueError(f"state_dict holds {key!r}, expected weights of an official V-cycle only")
    level, step = int(match[2]), int(match[3])
    if match[1]:
        step += iterations[level][0]
    elif level:
        # Slot 0 is the restriction, with the A of the finer level's residual behind all others.
        level, step = (level, step - 1) if step else (level - 1, sum(iterations[level - 1]))
    if match[4] == "A":
        # The first step starts from zero; only one class builds an A for it.
        step -= int(level == 0 and idle != "first")
    kind = "operators" if match[4] == "A" else "smoothers"
    return f"levels.{level}.{kind}.{step}.convolution.{match[5]}"
