"""Nested states of optimisers and schedulers as named tensors and JSON, and back.

`state_dict()` of a torch optimiser is dictionaries, lists and tuples of numbers and tensors.
JSON keeps numbers exactly, but knows neither tensors, tuples nor dictionaries whose keys are
numbers, so these three are written as {"tensor": name}, {"tuple": [...]}, {"dict": [[k, v], ...]}.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def flatten(tree: Any, prefix: str) -> tuple[Any, dict[str, Tensor]]:
    """Return a JSON value and the tensors that it names, all names starting with the prefix.

    Raises:
        TypeError: a leaf is neither a tensor nor a JSON value.

    >>> import torch
    >>> tree, tensors = flatten({0: (torch.zeros(2), 0.1)}, "adam")
    >>> tree
    {'dict': [[0, {'tuple': [{'tensor': 'adam.0'}, 0.1]}]]}
    >>> tensors
    {'adam.0': tensor([0., 0.])}
    """
    tensors: dict[str, Tensor] = {}

    def write(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = f"{prefix}.{len(tensors)}"
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"dict": [[key, write(v)] for key, v in value.items()]}
        if isinstance(value, tuple):
            return {"tuple": [write(v) for v in value]}
        if isinstance(value, list):
            return [write(v) for v in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(
            f"{prefix} state holds a {type(value).__name__}, expected tensors, numbers, strings "
            f"and containers of them: it cannot be written to a checkpoint without pickle"
        )

    return write(tree), tensors


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the tree that `flatten` wrote.

    >>> unflatten(*flatten({0: ("cosine", 0.1)}, "schedule"))
    {0: ('cosine', 0.1)}
    """
    if isinstance(value, list):
        return [unflatten(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(unflatten(v, tensors) for v in value["tuple"])
    return {key: unflatten(v, tensors) for key, v in value["dict"]}
