"""Writing a model to a folder and reading it back."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from ..version import __version__
from .atomic import previous, write_folder
from .card import model_card
from .config import ArtifactError, build, encode

CONFIG, WEIGHTS, METADATA, CARD = "config.json", "model.safetensors", "metadata.json", "README.md"
FORMAT = 1


def save(
    model: nn.Module, folder: str | os.PathLike, *, metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write a model to a folder, which `load` opens without anything else.

    All files are written to a temporary folder beside it and moved in one step, so that a crash
    leaves the older save or the new one. Wrappers are taken off first: torch.compile, DDP,
    DataParallel, and AveragedModel (whose averaged weights are what is saved).

    Args:
        model: an operator, `Normalized` around one, or any module. Modules that are not
            pdesolve's are saved too, but `load` then needs the built module.
        folder: created with its parents; an older save there is replaced.
        metadata: JSON values to keep beside the model: channels, units, grid, dataset hash, ...
            Numbers that are not finite, which JSON lacks, become null.

    Returns:
        The folder.

    Raises:
        ArtifactError: a constructor argument or metadata that JSON cannot hold, or a folder that
            holds other files, which would be lost.
    """
    folder = Path(folder).resolve()
    _check_replaceable(folder)
    model = unwrap(model)
    config = _json({"format": FORMAT, "model": encode(model)}, CONFIG)
    weights = _weights(model)
    own = {
        "sha256": {CONFIG: _digest(config), WEIGHTS: _digest(weights)},
        "pdesolve_version": __version__,
        "torch_version": str(torch.__version__),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    if clash := set(own) & set(metadata or {}):
        raise ArtifactError(f"metadata holds {sorted(clash)}, which save writes: use other names")
    told = own | _finite(dict(metadata or {}))
    files = {CONFIG: config, WEIGHTS: weights, METADATA: _json(told, METADATA)}
    files[CARD] = model_card(json.loads(config)["model"], told).encode()
    write_folder(folder, files)
    return folder


def load(
    folder: str | os.PathLike,
    model: nn.Module | None = None,
    *,
    device: torch.device | str | None = None,
) -> nn.Module:
    """Open a saved model, in evaluation mode. Reads the folder only, never the network.

    Args:
        folder: what `save` wrote.
        model: a built module to fill instead of building the recorded one; needed for classes
            that are not pdesolve's. Its dtype is kept, wrappers are looked through.
        device: where to put the model; None leaves a built one where it is, else the CPU.

    Returns:
        The built model with the stored weights, or `model`.

    Raises:
        ArtifactError: no saved model, a file that changed after it was written, an unknown class,
            or weights that do not fit.
    """
    folder = _existing(Path(folder))
    files = {name: _read(folder / name) for name in (CONFIG, WEIGHTS, METADATA)}
    _check_digests(folder, files)
    tensors = _parse_weights(files[WEIGHTS], folder)
    if model is None:
        config = _parse(files[CONFIG], folder / CONFIG)
        if config.get("format") != FORMAT:
            raise ArtifactError(
                f"{folder / CONFIG} is of format {config.get('format')}, expected {FORMAT}: load "
                f"it with the pdesolve that wrote it (version in {METADATA})"
            )
        # Initial values are drawn and thrown away: not from the caller's random stream.
        with torch.random.fork_rng(devices=[]):
            model = build(config.get("model"))
        _fill(model, tensors, folder, assign=True)
    else:
        _fill(unwrap(model), tensors, folder, assign=False)
    return model.to(device).eval()


def read_metadata(folder: str | os.PathLike) -> dict[str, Any]:
    """What `save` and its caller noted beside a model.

    Raises:
        ArtifactError: no saved model there, or a damaged file.
    """
    path = _existing(Path(folder)) / METADATA
    return _parse(_read(path), path)


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside torch.compile, DDP, DataParallel or AveragedModel, at any depth."""
    while True:
        if isinstance(original := getattr(model, "_orig_mod", None), nn.Module):
            model = original
        elif isinstance(model, AveragedModel | DataParallel | DistributedDataParallel):
            model = model.module
        else:
            return model


def _weights(model: nn.Module) -> bytes:
    # neuraloperator's models put a dictionary under "_metadata" into their state dict.
    state = {k: v.detach().cpu() for k, v in model.state_dict().items() if isinstance(v, Tensor)}
    # Cloned, as safetensors refuses tensors that share memory.
    cloned = {k: v.clone(memory_format=torch.contiguous_format) for k, v in state.items()}
    try:
        return safetensors.torch.save(cloned)
    except KeyError as error:
        raise ArtifactError(
            f"a tensor is of type {error}, which safetensors does not know: store complex128 as "
            f"pairs of float64"
        ) from error


def _fill(model: nn.Module, tensors: dict[str, Tensor], folder: Path, *, assign: bool) -> None:
    try:
        # The method of nn.Module itself: neuraloperator's override expects its dictionary.
        found = nn.Module.load_state_dict(model, tensors, strict=False, assign=assign)
    except RuntimeError as error:
        raise ArtifactError(
            f"weights in {folder} do not fit {type(model).__name__}: {error}"
        ) from error
    if found.missing_keys or found.unexpected_keys:
        raise ArtifactError(
            f"weights in {folder} do not fit {type(model).__name__}: missing "
            f"{found.missing_keys}, unexpected {found.unexpected_keys}; build the module with the "
            f"arguments in {CONFIG}"
        )


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is a file, expected a folder to write: choose another name")
    others = sorted({p.name for p in folder.iterdir()} - {CONFIG, WEIGHTS, METADATA, CARD})
    if others:
        raise ArtifactError(
            f"{folder} holds {others[:5]}, which replacing it would delete: choose another folder"
        )


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    if not folder.exists() and previous(folder).is_dir():
        return previous(folder)
    if not (folder / CONFIG).is_file():
        raise ArtifactError(
            f"{folder} holds no {CONFIG}, expected a folder of pdesolve.save: check the path"
        )
    return folder


def _check_digests(folder: Path, files: dict[str, bytes]) -> None:
    expected = _parse(files[METADATA], folder / METADATA).get("sha256", {})
    for name in (CONFIG, WEIGHTS):
        if _digest(files[name]) != expected.get(name):
            raise ArtifactError(
                f"{folder / name} differs from the digest in {METADATA}: the file was damaged or "
                f"edited after it was saved; save or copy the model again"
            )


def _parse_weights(content: bytes, folder: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{folder / WEIGHTS} is no safetensors file: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}): copy the whole folder") from error


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ArtifactError(f"{path} is no JSON ({error}): copy the folder again") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: dict[str, Any], name: str) -> bytes:
    try:
        return json.dumps(value, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{name} cannot be written ({error}): pass JSON values") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
