"""pdearena's HDF5 files: one group named after the split, train, valid or test.

    u, vx, vy (N, T, X, Y)            smoke and velocity of buoyant flow between walls
    t (N, T), dt, dx, dy (N), x (N, X), y (N, Y), buo_y (N)
    d_field, h_field (N, T, X, Y, Z, 3)    Maxwell: electric and magnetic field, without coordinates

Coordinates and times are not what they seem. x, y and dx come from a division of the box into
n - 1 parts, but u lies at the centres of n cells: the grid here has the box of x and n cells.
Velocities lie on the lower faces of those cells, half a spacing off along their own axis. t divides
the run into T - 1 parts, but frames are dt apart: times here are t_0 + k dt, and the stored t is
kept in the attribute `source_t`.

Every sample's buoyancy is its condition where samples differ, else a parameter of the equation.
Maxwell's files have no coordinates: cells are half a micrometre wide as published, cut from a
larger periodic box, so the box is not periodic; times are frame numbers.

Source: Gupta and Brandstetter 2022, arXiv:2209.15616; data generation code of pdearena/pdearena.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...grid import Grid
from .. import schema
from ..errors import SchemaError
from ..opening import damage_told, open_file
from ..spec import DatasetSpec, FieldSpec
from . import axes
from .contents import Contents, contents
from .conversion import Part, Samples, check_alike, provenance, stems, stored_dtype, write_set

SPLITS = ("train", "valid", "test")
SMOKE, MAXWELL = ("u", "vx", "vy"), ("d_field", "h_field")
COORDINATES = ("t", "x", "y")
BUOYANCY = "buo_y"
# Maxwell: metres from cell to cell, a box of 3.2e-5 in 64 cells.
MAXWELL_SPACING = 3.2e-5 / 64
_FACTS = {
    "citation": "Gupta and Brandstetter 2022, arXiv:2209.15616",
    "license": "see huggingface.co/pdearena",
}


def detects(path: str | Path) -> str | None:
    """Return None if the file has one of these layouts, otherwise why not."""
    found = contents(path)
    if found is None:
        return f"{Path(path).name} is no HDF5 file"
    if not found.groups or not set(found.groups) <= set(SPLITS):
        return "not all groups are named train, valid or test"
    return None if _fields(found) else f"group {found.groups[0]} without {SMOKE} or {MAXWELL}"


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert files of one set; every group keeps its split.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,valid,test}/NAME.h5 (NAME_0.h5, ... for several).

    Raises:
        SchemaError: shapes disagree, or samples of a file have times or coordinates of their own.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        groups = []
        for file, stem in zip(files, stems(folder, len(files)), strict=True):
            groups += _groups(file, stem, stack.enter_context(open_file(file)))
        shared, varying = _buoyancies(groups)
        samples = [_samples(folder.name, one, shared, varying) for one in groups]
        check_alike([one.file for one in groups], samples)
        return write_set(
            folder,
            [
                Part(group.split, group.stem, one, range(one.count))
                for group, one in zip(groups, samples, strict=True)
            ],
        )


@dataclass(frozen=True)
class _Group:
    """One split in one file: its fields, and the small arrays beside them, read."""

    file: Path
    stem: str
    split: str
    data: dict[str, h5py.Dataset]
    beside: dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """Number of samples."""
        return next(iter(self.data.values())).shape[0]


def _fields(found: Contents) -> tuple[str, ...]:
    names = {path.rpartition("/")[2] for path in found.shapes if "/" in path}
    return next((fields for fields in (SMOKE, MAXWELL) if set(fields) <= names), ())


def _groups(file: Path, stem: str, handle: h5py.File) -> list[_Group]:
    found = contents(file)
    fields = _fields(found) if found else ()
    if found is None or not fields:
        raise SchemaError(f"no group with {SMOKE} or {MAXWELL}", file=file)
    groups = []
    with damage_told(file):
        for split in found.groups:
            data = {name: schema.dataset(handle, f"{split}/{name}") for name in fields}
            small = [*COORDINATES, "dt", BUOYANCY]
            items = {name: handle.get(f"{split}/{name}") for name in small}
            beside = {n: i[()] for n, i in items.items() if isinstance(i, h5py.Dataset)}
            groups.append(_Group(file, stem, split, data, beside))
    return groups


def _buoyancies(groups: Sequence[_Group]) -> tuple[dict[str, float], tuple[str, ...]]:
    """The buoyancy if all samples share it, else that it is a condition."""
    known = [group.beside[BUOYANCY] for group in groups if BUOYANCY in group.beside]
    if len(known) < len(groups):
        return {}, ()
    values = {float(value) for one in known for value in np.ravel(one)}
    return ({BUOYANCY: values.pop()}, ()) if len(values) == 1 else ({}, (BUOYANCY,))


def _samples(
    name: str, group: _Group, shared: dict[str, float], varying: tuple[str, ...]
) -> Samples:
    smoke = set(group.data) == set(SMOKE)
    _check_shapes(group, smoke)
    grid, times, told = _smoke_axes(group) if smoke else _maxwell_axes(group)
    order = 0 if smoke else 1
    fields = tuple(FieldSpec(n, "output", time_varying=True, order=order) for n in group.data)
    spec = DatasetSpec(name, grid, fields, times, equation_parameters=shared, parameters=varying)

    def read(rows: slice) -> dict[str, np.ndarray]:
        with damage_told(group.file, f"{group.split}, samples {rows.start} to {rows.stop - 1}"):
            values = {n: data[rows] for n, data in group.data.items()}
        return values | {n: group.beside[n][rows] for n in varying}

    dtype = stored_dtype(*(data.dtype for data in group.data.values()))
    return Samples(spec, group.count, dtype, read, provenance([group.file], **_FACTS, **told))


def _smoke_axes(group: _Group) -> tuple[Grid, tuple[float, ...], dict[str, Any]]:
    lacking = [name for name in COORDINATES if name not in group.beside]
    if lacking:
        raise SchemaError(f"no {lacking}", file=group.file, place=group.split)

    def row(name: str) -> np.ndarray:
        place = f"{group.split}/{name}"
        return np.ravel(axes.common_row(group.beside[name], file=group.file, place=place))

    frames, *points = group.data["u"].shape[1:]
    sides = []
    for name, n in zip("xy", points, strict=True):
        axes.spacing(row(name), file=group.file, place=f"{group.split}/{name}")
        if len(row(name)) != n:
            raise SchemaError(
                f"{len(row(name))} coordinates",
                file=group.file,
                place=f"{group.split}/{name}",
                allowed=f"{n} as in the fields",
            )
        sides.append(axes.rounded(float(row(name)[-1] - row(name)[0])))
    stored = row("t")
    place = f"{group.split}/t"
    axes.times(stored, frames, file=group.file, place=place)
    spaced = stored[0] + np.arange(frames) * row("dt")[0] if "dt" in group.beside else stored
    times = axes.times(spaced, frames, file=group.file, place=f"{group.split}/dt")
    return Grid(points, sides, False, "cell"), times, {"source_t": stored.tolist()}


def _maxwell_axes(group: _Group) -> tuple[Grid, tuple[float, ...], dict[str, Any]]:
    frames, *points = group.data["d_field"].shape[1:5]
    grid = Grid(points, [n * MAXWELL_SPACING for n in points], False, "cell")
    times = axes.times(None, frames, file=group.file, place=group.split)
    return grid, times, {"source_times": "frame numbers"}


def _check_shapes(group: _Group, smoke: bool) -> None:
    shapes = {name: data.shape for name, data in group.data.items()}
    first = next(iter(shapes.values()))
    fits = len(first) == 4 if smoke else len(first) == 6 and first[-1] == 3
    lengths = {n: len(values) for n, values in group.beside.items() if np.ndim(values)}
    if not fits or len(set(shapes.values())) > 1 or set(lengths.values()) - {first[0]}:
        raise SchemaError(
            f"fields of shapes {shapes}, others of {lengths} samples",
            file=group.file,
            place=group.split,
            allowed="(N, T, X, Y) for all" if smoke else "(N, T, X, Y, Z, 3) for both",
        )
