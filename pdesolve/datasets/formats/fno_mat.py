"""The Fourier neural operator's MATLAB files, version 5 or 7.3, told apart by their variables.

    coeff, sol (N, n, n)               Darcy, u = 0 on the walls, which are stored; unit square
    a, u       (N, n)                  Burgers: velocity at times 0 and 1, periodic unit interval
    u (N, n, n, T), a (N, n, n), t     Navier-Stokes: vorticity on the unit torus; a is at time 0;
                                       a and t may be missing, then the times are 1, 2, ..., T

MATLAB drops a last axis of one entry, so u of shape (N, n, n) has one time. Darcy's Kcoeff and its
derivatives are smoothed copies of coeff and are left out.

Splits follow the published scripts: a Darcy file with "smooth2" or "test" in its name is for
testing and any other for training; of the other sets the first 1000 samples are for training and
the last 200 for testing, what lies between is the split "valid". A file of fewer than 1200
samples gives its last sixth to testing.

Source: Li et al. 2020, arXiv:2010.08895, and the data that its repository links to.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ...grid import Grid
from ..errors import SchemaError
from ..spec import DatasetSpec, FieldSpec
from . import axes
from .conversion import Part, Samples, check_alike, provenance, stems, stored_dtype, write_set
from .matlab import Variable, open_matlab, version

DARCY, BURGERS = ("coeff", "sol"), ("a", "u")
# The law of the published media, as `pdesolve.pde.Darcy.fno()` has it.
DARCY_PARAMETERS = {"low": 3.0, "high": 12.0, "tau": 3.0, "alpha": 2.0}
TRAIN, TEST = 1000, 200
_VISCOSITY = re.compile(r"V(\d+e-\d+)", re.IGNORECASE)


def detects(path: str | Path) -> str | None:
    """Return None if the file has one of these layouts, otherwise why not."""
    path = Path(path)
    if version(path) is None:
        return f"{path.name} is no MATLAB file of version 5 or 7.3"
    with open_matlab(path) as variables:
        layout = _layout(variables)
    return None if layout in ("darcy", "burgers", "navier_stokes") else layout


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert files of one equation on one grid.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,valid,test}/NAME.h5 (NAME_0.h5, ... for several).

    Raises:
        SchemaError: shapes disagree, in a file or between files.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        samples = [
            _samples(file, folder.name, stack.enter_context(open_matlab(file))) for file in files
        ]
        check_alike(files, samples)
        return write_set(
            folder,
            [
                Part(split, stem, one, rows)
                for file, stem, one in zip(files, stems(folder, len(files)), samples, strict=True)
                for split, rows in _splits(file, one).items()
            ],
        )


def _layout(variables: Mapping[str, Variable]) -> str:
    """Name of the layout, or why it is none."""
    rank = {name: len(one.shape) for name, one in variables.items()}
    if set(DARCY) <= set(rank) and rank["coeff"] == rank["sol"] == 3:
        return "darcy"
    if set(BURGERS) <= set(rank) and rank["a"] == rank["u"] == 2:
        return "burgers"
    if rank.get("u") in (3, 4) and rank.get("a", 3) == 3:
        return "navier_stokes"
    held = ", ".join(f"{name} {one.shape}" for name, one in variables.items())
    return (
        f"no `coeff` with `sol`, no `a` with `u`, no `u` of 4 axes (it holds {held or 'nothing'})"
    )


def _samples(file: Path, name: str, variables: Mapping[str, Variable]) -> Samples:
    layout = _layout(variables)
    if layout == "darcy":
        return _darcy(file, name, variables)
    if layout == "burgers":
        return _burgers(file, name, variables)
    if layout == "navier_stokes":
        return _navier_stokes(file, name, variables)
    raise SchemaError(layout, file=file)


def _darcy(file: Path, name: str, variables: Mapping[str, Variable]) -> Samples:
    coefficient, solution = (variables[key] for key in DARCY)
    _check_shapes(file, {"sol": solution.shape}, coefficient.shape)
    spec = DatasetSpec(
        name,
        Grid(coefficient.shape[1:], 1.0, False),
        (FieldSpec("coefficient", "input"), FieldSpec("solution", "output", time_varying=True)),
        equation="Darcy",
        equation_parameters=DARCY_PARAMETERS,
    )
    return _made(file, spec, {"coefficient": coefficient, "solution": solution})


def _burgers(file: Path, name: str, variables: Mapping[str, Variable]) -> Samples:
    initial, velocity = (variables[key] for key in BURGERS)
    _check_shapes(file, {"u": velocity.shape}, initial.shape)
    spec = DatasetSpec(
        name,
        Grid(initial.shape[1:], 1.0, True),
        (FieldSpec("initial", "input"), FieldSpec("velocity", "output", time_varying=True)),
        times=(1.0,),
    )
    return _made(file, spec, {"initial": initial, "velocity": velocity})


def _navier_stokes(file: Path, name: str, variables: Mapping[str, Variable]) -> Samples:
    vorticity, initial = variables["u"], variables.get("a")
    count, *points = vorticity.shape[:3]
    frames = (*vorticity.shape, 1)[3]
    fields = (FieldSpec("vorticity", "output", time_varying=True),)
    held = {"vorticity": Variable(vorticity.shape, vorticity.dtype, _time_first(vorticity))}
    if initial is not None:
        _check_shapes(file, {"a": initial.shape}, (count, *points))
        fields = (FieldSpec("initial", "input"), *fields)
        held["initial"] = initial
    stored = variables["t"].read(slice(None)) if "t" in variables else np.arange(1, frames + 1)
    viscosity = _VISCOSITY.search(file.name)
    spec = DatasetSpec(
        name,
        Grid(points, 1.0, True),
        fields,
        axes.times(stored.reshape(-1), frames, file=file, place="t"),
        equation_parameters={"viscosity": float(viscosity[1])} if viscosity else {},
    )
    return _made(file, spec, held)


def _time_first(one: Variable):
    """Read (N, X, Y, T), or (N, X, Y) for one time, as (N, T, X, Y)."""

    def read(rows: slice) -> np.ndarray:
        values = one.read(rows)
        return values[:, None] if values.ndim == 3 else np.moveaxis(values, -1, 1)

    return read


def _made(file: Path, spec: DatasetSpec, held: Mapping[str, Variable]) -> Samples:
    return Samples(
        spec,
        next(iter(held.values())).shape[0],
        stored_dtype(*(one.dtype for one in held.values())),
        lambda rows: {name: one.read(rows) for name, one in held.items()},
        provenance([file], citation="Li et al. 2020, arXiv:2010.08895", license="not stated"),
    )


def _check_shapes(
    file: Path, shapes: Mapping[str, tuple[int, ...]], expected: tuple[int, ...]
) -> None:
    wrong = [f"{name} has shape {shape}" for name, shape in shapes.items() if shape != expected]
    if wrong:
        raise SchemaError("; ".join(wrong), file=file, allowed=f"{expected}")


def _splits(file: Path, samples: Samples) -> dict[str, range]:
    count = samples.count
    if samples.spec.equation == "Darcy":
        testing = re.search("smooth2|test", file.name) is not None
        return {"test" if testing else "train": range(count)}
    test = TEST if count >= TRAIN + TEST else count // 6
    train = min(TRAIN, count - test)
    return {
        "train": range(train),
        "valid": range(train, count - test),
        "test": range(count - test, count),
    }
