"""Constructor arguments as JSON, and the module built again from them.

Only classes that `pdesolve.operators` exports, and `Normalized`, are ever built; other classes
are noted by name, never imported. JSON holds numbers, strings, lists and these objects:

    {"class": "TFNO", "arguments": {...}}     a module, nested ones included
    {"foreign": "package.Class"}              a module that only its author can build
    {"grid": {...}}, {"function": "gelu"}, {"tensor": [...], "dtype": "float32"}
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..grid import Grid

# A closed list: a name from a file must never reach another function.
FUNCTIONS = {
    name: getattr(F, name)
    for name in ("celu", "elu", "gelu", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
                 "relu", "relu6", "selu", "silu", "softplus", "softsign", "tanhshrink")
} | {name: getattr(torch, name) for name in ("cos", "sigmoid", "sin", "tanh")}  # fmt: skip


class ArtifactError(ValueError):
    """A model folder that cannot be written or read as asked."""


def encode(value: Any, name: str = "model") -> Any:
    """JSON form of a constructor argument.

    Args:
        value: module, grid, tensor, activation function, number, string, or sequence of those.
        name: what to call it in an error.

    Raises:
        ArtifactError: a value of another type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence):
        return [encode(v, f"{name}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, nn.Module):
        return _encode_module(value, name)
    if isinstance(value, Grid):
        return {"grid": value.as_dict()}
    if isinstance(value, Tensor):
        return {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
    for function_name, function in FUNCTIONS.items():
        if value is function:
            return {"function": function_name}
    raise ArtifactError(
        f"{name} is {value!r}, expected a number, string, sequence, Grid, tensor, module or one of "
        f"the functions {sorted(FUNCTIONS)}: other arguments cannot be written to config.json"
    )


def _encode_module(module: nn.Module, name: str) -> dict[str, Any]:
    class_name = type(module).__name__
    # By identity: a user's own class of the same name is foreign.
    if _classes().get(class_name) is not type(module):
        return {"foreign": f"{type(module).__module__}.{type(module).__qualname__}"}
    arguments: dict[str, Any] = module.constructor_arguments  # pyright: ignore
    encoded = {key: encode(value, f"{name}.{key}") for key, value in arguments.items()}
    return {"class": class_name, "arguments": encoded}


def build(config: Any) -> nn.Module:
    """The module that `encode` wrote, with its initial weights.

    Raises:
        ArtifactError: anything but a module of a known class with arguments that it takes.
    """
    module = decode(config)
    if not isinstance(module, nn.Module):
        raise ArtifactError(f"config.json describes {config}, expected a model: a damaged file")
    return module


def decode(value: Any) -> Any:
    """The argument or module that `encode` wrote; sequences become tuples.

    Raises:
        ArtifactError: an unknown class, function or object.
    """
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    match value:
        case {"class": name, "arguments": dict(arguments)}:
            return _build(name, arguments)
        case {"foreign": name}:
            raise ArtifactError(
                f"the folder holds weights of {name}, a class that is not pdesolve's: build the "
                f"module yourself and pass it, load(folder, model=...)"
            )
        case {"grid": dict(fields)}:
            return Grid(**fields)
        case {"function": name} if name in FUNCTIONS:
            return FUNCTIONS[name]
        case {"tensor": values, "dtype": "float32" | "float64" | "int64" as dtype}:
            return torch.tensor(values, dtype=getattr(torch, dtype))
    raise ArtifactError(
        f"config.json holds {value}, which this version does not know: a damaged file, or one "
        f"that a later pdesolve wrote"
    )


def _build(name: str, arguments: dict[str, Any]) -> nn.Module:
    classes = _classes()
    if name not in classes:
        raise ArtifactError(
            f"class {name!r} is not known, expected one of {sorted(classes)}: pass the built "
            f"module, load(folder, model=...), or use the pdesolve that wrote the folder"
        )
    decoded = {key: decode(value) for key, value in arguments.items()}
    try:
        return classes[name](**decoded)
    except TypeError as error:
        raise ArtifactError(
            f"{name} does not take the recorded arguments ({error}): use the pdesolve that wrote "
            f"the folder (version in metadata.json), or pass load(folder, model=...)"
        ) from error


def _classes() -> dict[str, type[nn.Module]]:
    # By name at call time: artifacts lies beside operators, and must not pull them in on import.
    exported = vars(import_module("pdesolve.operators"))
    classes = {
        name: value
        for name, value in exported.items()
        if not name.startswith("_") and isinstance(value, type) and issubclass(value, nn.Module)
    }
    return classes | {"Normalized": import_module("pdesolve.layers").Normalized}
