"""A user's arrays become a Dataset, in memory or as a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..grid import Grid
from . import schema
from .dataset import Dataset
from .errors import NonFiniteError, SchemaError
from .hashing import sample_hash
from .memory_source import MemorySource
from .reader import open_dataset
from .schema import NO_SEED
from .spec import DatasetSpec, FieldSpec, Role
from .writer import DatasetWriter


def from_arrays(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    *,
    grid: Grid | None = None,
    periodic: Sequence[bool] | None = None,
    path: str | Path | None = None,
    name: str | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    units: dict[str, str] | None = None,
    condition: np.ndarray | Tensor | None = None,
    condition_names: Sequence[str] = (),
) -> Dataset:
    """Make a Dataset of arrays; with a path, write a file that `open_dataset` opens later.

    The number of axes d comes from `grid`, else from `periodic` (then the box is [0, 1]^d); an
    array of 1 + d axes is (n, *grid), one channel, and one of 2 + d axes is (n, c, *grid). With
    neither, arrays of four or more axes are (n, c, *grid) on a box that is not periodic; fewer
    axes are refused, since (n, 64, 64) could be meant either way.

    Args:
        x: inputs, physical units; float64 arrays stay float64, everything else becomes float32.
        y: outputs, for the same n samples.
        grid: where the points are.
        periodic: per axis, instead of a grid.
        path: file to write, ending in .h5.
        name: of the data set; the stem of the path by default.
        input_names, output_names: one name a channel; "input", "output" or input_0, ... by default.
        units: by channel name; "1" where missing.
        condition: parameters of each sample, shape (n, p).
        condition_names: their p names.

    Raises:
        SchemaError: sizes disagree, or the axes cannot be told apart.
        NonFiniteError: NaN or infinity, with the channel, the sample and the count.
        ExistingFileError: the path exists.

    >>> from_arrays(torch.ones(5, 8, 8), torch.ones(5, 8, 8), periodic=(True, True))
    Dataset(arrays: 5 samples, input -> output, grid (8, 8))
    """
    dims = _dims(grid, periodic, np.ndim(x))
    fields = {"x": _fields("x", x, dims), "y": _fields("y", y, dims)}
    common = np.result_type(*fields.values())
    fields = {key: array.astype(common, copy=False) for key, array in fields.items()}
    _check_sizes(fields["x"], fields["y"], grid)
    if grid is None:
        grid = Grid(fields["x"].shape[2:], 1.0, False if periodic is None else periodic)
    names = {
        "x": _names("input", input_names, fields["x"].shape[1]),
        "y": _names("output", output_names, fields["y"].shape[1]),
    }
    for key, array in fields.items():
        _check_finite(names[key], array)
    parameters = _conditions(condition, condition_names, len(fields["x"]))
    known = units or {}
    roles: tuple[tuple[str, Role], ...] = (("x", "input"), ("y", "output"))
    spec = DatasetSpec(
        name or (Path(path).stem if path else "arrays"),
        grid,
        tuple(
            FieldSpec(n, role, units=known.get(n, "1"), time_varying=role == "output")
            for key, role in roles
            for n in names[key]
        ),
        parameters=tuple(condition_names),
    )
    if path is None:
        return Dataset(_in_memory(spec, fields["x"], fields["y"], parameters))
    return _written(Path(path), spec, fields["x"], fields["y"], parameters)


def _dims(grid: Grid | None, periodic: Sequence[bool] | None, axes: int) -> int:
    if grid is not None and periodic is not None:
        raise SchemaError("grid and periodic are both given", advice="the grid says what is enough")
    if grid is not None:
        return grid.dims
    if periodic is not None:
        return len(periodic)
    if axes < 4:
        raise SchemaError(
            f"an array of {axes} axes and no grid",
            place="x",
            allowed="(n, c, height, width) or more axes",
            advice="tell the axes of space with grid=Grid(...) or periodic=(False, False)",
        )
    return axes - 2


def _fields(place: str, array: np.ndarray | Tensor, dims: int) -> np.ndarray:
    values = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise SchemaError(f"dtype {values.dtype}", place=place, allowed="real numbers")
    values = values.astype(values.dtype if values.dtype == np.float64 else np.float32, copy=False)
    if values.ndim == dims + 1:
        values = values[:, None]
    if values.ndim != dims + 2 or 0 in values.shape:
        raise SchemaError(
            f"shape {values.shape}",
            place=place,
            allowed=f"(n, *grid) or (n, c, *grid) with {dims} axes of space, none empty",
        )
    return values


def _check_sizes(x: np.ndarray, y: np.ndarray, grid: Grid | None) -> None:
    wrong = []
    if len(x) != len(y):
        wrong.append(f"x has {len(x)} samples and y has {len(y)}")
    if x.shape[2:] != y.shape[2:]:
        wrong.append(f"x has points {x.shape[2:]} and y has {y.shape[2:]}")
    if grid is not None and x.shape[2:] != grid.shape:
        wrong.append(f"x has points {x.shape[2:]} and the grid has {grid.shape}")
    if wrong:
        raise SchemaError("; ".join(wrong), place="x, y", allowed="the same samples and points")


def _names(default: str, names: Sequence[str] | None, channels: int) -> tuple[str, ...]:
    if names is None:
        return (default,) if channels == 1 else tuple(f"{default}_{k}" for k in range(channels))
    if len(names) != channels:
        raise SchemaError(
            f"{len(names)} names for {channels} channels",
            place=f"{default}_names",
            allowed="one each",
        )
    return tuple(names)


def _check_finite(names: Sequence[str], array: np.ndarray) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        counts = wrong.sum(axis=tuple(range(2, array.ndim)))
        sample, channel = (int(k) for k in np.argwhere(counts)[0])
        raise NonFiniteError(
            f"sample {sample} has {counts[sample, channel]} NaN or infinite values, "
            f"{int(counts.any(1).sum())} samples have some",
            place=names[channel],
            allowed="finite numbers",
            advice="drop those samples or repair them first",
        )


def _conditions(
    condition: np.ndarray | Tensor | None, names: Sequence[str], samples: int
) -> np.ndarray:
    if condition is None:
        values = np.empty((samples, 0))
    else:
        tensor = condition.detach().cpu().numpy() if isinstance(condition, Tensor) else condition
        values = np.asarray(tensor, np.float64)
    if values.shape != (samples, len(names)):
        raise SchemaError(
            f"shape {values.shape}",
            place="condition",
            allowed=f"{(samples, len(names))}, one column for each of condition_names",
        )
    if not np.isfinite(values).all():
        raise NonFiniteError("NaN or infinite values", place="condition", allowed="finite numbers")
    return values


def _in_memory(
    spec: DatasetSpec, x: np.ndarray, y: np.ndarray, parameters: np.ndarray
) -> MemorySource:
    count = len(x)
    channels = _by_name(spec, x, y)
    hashes = [
        sample_hash([*(channels[one.name][index] for one in spec.varying), parameters[index]])
        for index in range(count)
    ]
    records = schema.Records(
        seed=np.full(count, NO_SEED, "<i8"),
        status=np.full(count, schema.WRITTEN, "u1"),
        hash=np.array(hashes, "<u8"),
        parameters=parameters,
        residual=np.full(count, np.nan),
        seconds=np.zeros(count),
    )
    # Inputs, then outputs: the order of `channels.stored_channels`.
    values = torch.from_numpy(np.concatenate([x, y], 1))
    return MemorySource(values, None, spec, spec.grid, None, {}, records, {})


def _written(
    path: Path, spec: DatasetSpec, x: np.ndarray, y: np.ndarray, parameters: np.ndarray
) -> Dataset:
    channels = _by_name(spec, x, y)
    double = x.dtype == np.float64
    storage = {"provenance": {"generator": "from_arrays"}, "dtype": str(x.dtype)}
    with DatasetWriter(path, spec, len(x), **storage) as writer:
        for index in range(len(x)):
            writer.write(
                index,
                {name: values[index] for name, values in channels.items()},
                seed=NO_SEED,
                parameters=dict(zip(spec.parameters, parameters[index], strict=True)),
            )
        writer.finish()
    return open_dataset(path, dtype=torch.float64 if double else torch.float32)


def _by_name(spec: DatasetSpec, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    inputs, outputs = spec.by_role("input"), spec.by_role("output")
    held = {one.name: x[:, k] for k, one in enumerate(inputs)}
    return held | {one.name: y[:, k] for k, one in enumerate(outputs)}
