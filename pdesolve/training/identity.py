"""What makes two runs the same: a checkpoint is only continued by the run that it came from."""

import functools
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from ..datasets.data import Data
from .recipe import Recipe

# A run may move to another device, and may be kept differently.
FREE_SETTINGS = ("device", "keep")


def describe(value: Any) -> Any:
    """Return JSON that is equal in two processes for equal values, functions by their names.

    >>> describe(describe)
    'pdesolve.training.identity.describe'
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): describe(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        values = {f.name: describe(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__qualname__, **values}
    if isinstance(value, functools.partial):
        return {"type": describe(value.func), "arguments": describe([value.args, value.keywords])}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    # The default repr ends in an address, which another process does not have.
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def describe_run(
    model: nn.Module, train: Data, valid: Data | None, recipe: Recipe, world: int
) -> dict[str, Any]:
    """Return all that a run must share with the one that it continues."""
    choices = {field.name: describe(getattr(recipe, field.name)) for field in fields(recipe)}
    for name in FREE_SETTINGS:
        del choices["settings"][name]
    return {
        **choices,
        "model": describe_model(model),
        "train": describe_data(train),
        "valid": describe_data(valid),
        "processes": world,
    }


def describe_model(model: nn.Module) -> dict[str, Any]:
    """Return the class of a model, the shapes of its parameters, and what it was built with."""
    shapes = {name: list(p.shape) for name, p in model.named_parameters()}
    arguments = {
        f"{name}.{key}": describe(value)
        for name, module in model.named_modules()
        for key, value in getattr(module, "constructor_arguments", {}).items()
        # Submodules have their own entries; tensors are buffers and follow from the data.
        if not isinstance(value, (nn.Module, Tensor))
    }
    return {"type": type(model).__qualname__, **shapes, **arguments}


def describe_data(dataset: Data | None) -> dict[str, Any] | None:
    """Return the number of items, the hash of the samples, and what is cut from them."""
    if dataset is None:
        return None
    window = describe(dataset.window)
    return {"samples": len(dataset), "hash": dataset.data_hash, "window": window}


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return one phrase for each value that differs between two descriptions.

    >>> differences({"settings": {"seed": 0}}, {"settings": {"seed": 1}})
    ['settings.seed was 0 and is 1']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{path}.{key}" if path else key
            found += differences(old.get(key), new.get(key), inner)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [phrase for i, (a, b) in pairs for phrase in differences(a, b, f"{path}[{i}]")]
    return [] if old == new else [f"{path} was {old!r} and is {new!r}"]


def check_same_run(old: dict[str, Any], new: dict[str, Any], folder: Any) -> None:
    """Refuse to continue a run as another one.

    Raises:
        ValueError: they differ; the message names the first differences.
    """
    found = differences(old, new)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ValueError(
            f"folder {folder} holds another run: {'; '.join(found[:3])}{more}; expected the same "
            f"settings, model and data: choose another folder, or repeat the run as it was"
        )
