"""Published scOT checkpoints: their config.json in our words, their tensors, other channels.

Poseidon's weights are published under CC-BY-NC-4.0: not for commercial use. None comes with this
package, and nothing here downloads one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..grid import Grid

Tensors = dict[str, Tensor]

# Sizes of Herde et al. 2024, arXiv:2405.19101, table 2 and appendix C: four levels each.
SIZES: dict[str, dict[str, Any]] = {
    "T": {"width": 48, "depths": (4, 4, 4, 4)},
    "S": {"width": 48, "depths": (8, 8, 8, 8)},
    "B": {"width": 96, "depths": (8, 8, 8, 8)},
    "L": {"width": 192, "depths": (8, 8, 8, 8)},
}
# Our argument for each field of config.json, and how its value reads here.
FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "num_channels": ("in_channels", int),
    "num_out_channels": ("out_channels", int),
    "embed_dim": ("width", int),
    "depths": ("depths", tuple),
    "num_heads": ("heads", tuple),
    "use_conditioning": ("condition_dim", int),
    "patch_size": ("patch", int),
    "window_size": ("window", int),
    "skip_connections": ("skips", lambda values: tuple(int(v) for v in values)),
    "residual_model": ("skip_block", str),
    "mlp_ratio": ("mlp_ratio", float),
    "drop_path_rate": ("stochastic_depth", float),
}
# Fields that all published models leave at these values, and ScOT does not offer otherwise.
FIXED: dict[str, Any] = {
    "attention_probs_dropout_prob": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "layer_norm_eps": 1e-5,
    "qkv_bias": True,
    "use_absolute_embeddings": False,
}
REQUIRED = ("num_channels", "num_out_channels", "embed_dim", "depths", "num_heads", "image_size")
# What wrappers put in front of names, and tables that are computed and not learned.
PREFIXES = ("module.", "swinv2.")
COMPUTED = ("relative_coords_table", "relative_position_index")
# Where channels of x and y are an axis of a weight, and which.
INPUT_AXES = {"embeddings.patch_embeddings.projection.weight": 1}
OUTPUT_AXES = {
    "patch_recovery.projection.weight": 1,
    "patch_recovery.projection.bias": 0,
    "patch_recovery.mixup.weight": 0,
}


def read_official(
    source: Path | str | Mapping[str, Tensor], variant: str | None = None
) -> tuple[dict[str, Any], Tensors]:
    """Return the arguments of ScOT and the tensors, under the names that ScOT gives them.

    Args:
        source: folder with config.json and *.safetensors, or the tensors.
        variant: size "T", "S", "B" or "L", for tensors that come without config.json.

    Raises:
        ValueError: a file or field is missing, or a field has a value that ScOT does not offer.
    """
    if isinstance(source, Mapping):
        tensors = {_own_name(name): t for name, t in source.items() if not name.endswith(COMPUTED)}
        return _size(variant, tensors), tensors
    folder = Path(source)
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(
            f"folder {folder} holds no config.json, expected the published one beside its weights: "
            f"download both into one folder"
        )
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} is no JSON ({error}), expected the published file: download it again"
        ) from error
    arguments = arguments_of(config)
    return arguments, read_official(_stored(folder), variant)[1]


def arguments_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ScOT for a published config.json.

    >>> arguments_of({"num_channels": 4, "num_out_channels": 4, "embed_dim": 48, "depths": [4],
    ...               "num_heads": [3], "image_size": 128})["width"]
    48

    Raises:
        ValueError: a field is missing, or has a value that ScOT does not offer.
    """
    missing = [name for name in REQUIRED if name not in config]
    if missing:
        raise ValueError(f"config.json has no {missing}, expected the config of a scOT model")
    wrong = [f"{n} {config[n]}" for n, v in FIXED.items() if config.get(n, v) != v]
    if any(config.get("pretrained_window_sizes", ())):
        wrong.append(f"pretrained_window_sizes {config['pretrained_window_sizes']}")
    if wrong:
        raise ValueError(
            f"config.json has {', '.join(wrong)}, expected {FIXED} and no pretrained windows, as "
            f"in all published models: ScOT cannot compute this one"
        )
    size = config["image_size"]
    sides = (size, size) if isinstance(size, int) else tuple(size)
    arguments = {ours: read(config[n]) for n, (ours, read) in FIELDS.items() if n in config}
    # The published models know their fields by points alone; the torus of side 1 is theirs.
    arguments["domain"] = Grid(sides, 1.0, periodic=True)
    # Without conditioning the published code leaves the sum out.
    arguments["residual"] = bool(config.get("learn_residual")) and config.get(
        "use_conditioning", True
    )
    return arguments


def fill(operator: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give the operator its tensors.

    Raises:
        ValueError: tensors are missing, unknown or of another shape; names the first of each.
    """
    own = operator.state_dict()
    wrong = {
        "missing": [name for name in own if name not in tensors],
        "unknown": [name for name in tensors if name not in own],
        "of another shape": [
            f"{name} {tuple(t.shape)} instead of {tuple(own[name].shape)}"
            for name, t in tensors.items()
            if name in own and t.shape != own[name].shape
        ],
    }
    found = {kind: names for kind, names in wrong.items() if names}
    if found:
        told = "; ".join(
            f"{len(names)} {kind}: {', '.join(names[:5])}" + (", ..." if len(names) > 5 else "")
            for kind, names in found.items()
        )
        raise ValueError(
            f"tensors do not fit {type(operator).__name__} ({told}), expected its {len(own)}: pass "
            f"the arguments with which they were trained"
        )
    operator.load_state_dict(dict(tensors))


def adapt(
    known: Mapping[str, Tensor],
    new: Mapping[str, Tensor],
    inputs: Sequence[int | None] | None,
    outputs: Sequence[int | None] | None,
) -> Tensors:
    """Return the state of an operator with other channels; see `ScOT.adapted`.

    Args:
        known: state of the operator that is adapted.
        new: drawn state of the new one.
        inputs, outputs: for each new channel the known one that it is, or None.

    Raises:
        ValueError: numbers that are no channels of the known operator.
    """
    first = next(iter(INPUT_AXES))
    last = "patch_recovery.projection.bias"
    sources = _sources("inputs", inputs, known[first].shape[1], new[first].shape[1])
    targets = _sources("outputs", outputs, len(known[last]), len(new[last]))
    state = {name: t for name, t in known.items() if name not in INPUT_AXES | OUTPUT_AXES}
    for name, axis in INPUT_AXES.items():
        state[name] = _moved(known[name], new[name], axis, sources)
    for name, axis in OUTPUT_AXES.items():
        state[name] = _moved(known[name], new[name], axis, targets)
    mixup = "patch_recovery.mixup.weight"
    if set(targets) != {None}:
        state[mixup] = _mixed(known[mixup], targets)
    return state


def _sources(
    name: str, sources: Sequence[int | None] | None, known: int, new: int
) -> list[int | None]:
    """The known channel of each new one."""
    if sources is None:
        return [i if i < known else None for i in range(new)]
    channels = [i for i in sources if i is not None]
    if len(sources) != new or not all(0 <= i < known for i in channels):
        raise ValueError(
            f"{name} is {list(sources)}, expected {new} entries, each a channel 0 to {known - 1} "
            f"or None for a new one"
        )
    return list(sources)


def _moved(known: Tensor, new: Tensor, axis: int, sources: Sequence[int | None]) -> Tensor:
    """Known slices at their new places, zeros elsewhere; what was drawn if nothing is known."""
    if set(sources) == {None}:
        return new.to(known)
    zeros = torch.zeros_like(known.select(axis, 0))
    return torch.stack([zeros if i is None else known.select(axis, i) for i in sources], axis)


def _mixed(known: Tensor, targets: Sequence[int | None]) -> Tensor:
    """The kernel of the last convolution; new channels pass through it as they are."""
    weight = known.new_zeros(len(targets), len(targets), *known.shape[2:])
    for row, i in enumerate(targets):
        if i is None:
            weight[row, row, known.shape[2] // 2, known.shape[3] // 2] = 1
            continue
        for column, j in enumerate(targets):
            # A known channel that is asked for twice is read from its first copy alone.
            if j is not None and targets.index(j) == column:
                weight[row, column] = known[i, j]
    return weight


def _own_name(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _size(variant: str | None, tensors: Tensors) -> dict[str, Any]:
    """Arguments of a published size, if one is named, with the channels of the tensors."""
    if variant not in (None, *SIZES):
        raise ValueError(f"variant is {variant!r}, expected one of {', '.join(SIZES)}")
    embedding = tensors.get("embeddings.patch_embeddings.projection.weight")
    recovery = tensors.get("patch_recovery.projection.bias")
    if embedding is None or recovery is None:
        raise ValueError(
            f"tensors {list(tensors)[:3]} ... lack embedding or recovery, expected those of scOT: "
            f"pass the state dict as it was published"
        )
    channels = {"in_channels": embedding.shape[1], "out_channels": len(recovery)}
    if variant is None:
        return channels
    return {**SIZES[variant], **channels, "domain": Grid((128, 128), 1.0, periodic=True)}


def _stored(folder: Path) -> Tensors:
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        held = sorted(path.name for path in folder.iterdir())
        raise ValueError(
            f"folder {folder} holds {held}, expected *.safetensors: pickled weights (.bin, .pt) "
            f"can run code and are not opened; download the safetensors file"
        )
    tensors: Tensors = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(
                f"{path} is damaged ({error}), expected whole safetensors: download it again"
            ) from error
    return tensors
