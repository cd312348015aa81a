"""Arrays on their way into a file are what the spec says, and finite."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import NonFiniteError, SchemaError
from .spec import DatasetSpec, FieldSpec


def matched_fields(
    spec: DatasetSpec,
    fields: tuple[FieldSpec, ...],
    given: Mapping[str, Any],
    *,
    dtype: np.dtype,
    file: Path,
) -> dict[str, np.ndarray]:
    """Return the given arrays in the order of the fields, with their dtype and stored shape.

    The time axis of a field may be left out where there is one time.

    Raises:
        SchemaError: a field is missing or unknown, or has another shape; all are listed.
    """
    expected = {one.name: spec.stored_shape(one) for one in fields}
    arrays = {name: np.asarray(value, dtype) for name, value in given.items()}
    for one in fields:
        if one.time_varying and len(spec.times) == 1 and one.name in arrays:
            array = arrays[one.name]
            steady = array.shape == expected[one.name][1:]
            arrays[one.name] = array[None] if steady else array
    wrong = [f"no field {name!r}" for name in expected if name not in arrays]
    wrong += [f"unknown field {name!r}" for name in arrays if name not in expected]
    wrong += [
        f"field {name!r} has shape {arrays[name].shape}, expected {shape}"
        for name, shape in expected.items()
        if name in arrays and arrays[name].shape != shape
    ]
    if wrong:
        raise SchemaError("; ".join(wrong), file=file, advice="compare with the spec")
    return {name: arrays[name] for name in expected}


def matched_parameters(spec: DatasetSpec, given: Mapping[str, float], *, file: Path) -> np.ndarray:
    """Return a sample's parameters in the order of the spec, float64.

    Raises:
        SchemaError: the names are not the spec's.
    """
    if set(given) != set(spec.parameters):
        raise SchemaError(
            f"{sorted(given)}", file=file, place="parameters", allowed=f"{sorted(spec.parameters)}"
        )
    return np.array([given[name] for name in spec.parameters], "<f8")


def matched_mask(spec: DatasetSpec, samples: int, mask: Any, *, file: Path) -> np.ndarray:
    """Return a mask as booleans, True inside.

    Raises:
        SchemaError: its shape is neither (*grid) nor (samples, *grid).
    """
    inside = np.asarray(mask).astype(bool)
    allowed = spec.grid.shape, (samples, *spec.grid.shape)
    if inside.shape not in allowed:
        raise SchemaError(
            f"shape {inside.shape}",
            file=file,
            place="mask",
            allowed=f"{allowed[0]} or {allowed[1]}",
        )
    if not inside.any(tuple(range(-spec.grid.dims, 0))).all():
        raise SchemaError("no point is inside", file=file, place="mask", allowed="at least one")
    return inside


def require_finite(arrays: Mapping[str, np.ndarray], *, file: Path, sample: str) -> None:
    """Raise NonFiniteError if an array holds NaN or infinity; `sample` says which sample it is."""
    for name, array in arrays.items():
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise NonFiniteError(
                f"{bad} of {array.size} values of {sample} are NaN or infinite",
                file=file,
                place=name,
                allowed="finite numbers",
                advice="solve it again, or write it with rejected=True",
            )
