"""PDEBench's HDF5 files of arrays, told apart by the names of their data sets.

    tensor (N, T, X)                    1d advection, Burgers, reaction-diffusion
    tensor (N, 1, X, Y), nu (N, X, Y)   Darcy: solution and coefficient
    density, pressure, Vx [Vy [Vz]]     compressible flow, (N, T, X [Y [Z]]) each
    velocity, particles, force, t       incompressible flow, (N, T, X, Y, c), force without T

The first three carry x-, y-, z-coordinate, which are cell centres, and t-coordinate, which may have
one entry more than there are frames. Rank does not tell the equations apart: 1d data that were
generated again have shape (1, N, T, X), as long as Darcy's; only `nu` makes a file Darcy's.

Files name no boundary: 1d `tensor` sets are periodic, compressible flow is where the file's name
says "periodic", the rest is not. There are no splits; PDEBench's loader of such files tests on
the first tenth of the samples, and so does this one; the rest is train. What evolves is an output
of T times; `force` and `nu` are inputs. Incompressible flow carries no coordinates; its cells
divide the unit square.

Source: Takamoto et al. 2022, arXiv:2210.07182; DaRUS record 10.18419/darus-2986.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...grid import Grid
from .. import schema
from ..errors import SchemaError
from ..foreign import Foreign
from ..opening import damage_told, open_file
from ..spec import AXIS_NAMES, DatasetSpec, FieldSpec
from ..stored import Stored
from . import axes
from .contents import Contents, contents
from .conversion import (
    Part,
    Samples,
    check_alike,
    provenance,
    shared_and_varying,
    stems,
    stored_dtype,
    write_set,
)

FLOW = ("density", "pressure")
VELOCITIES = ("Vx", "Vy", "Vz")
INCOMPRESSIBLE = ("velocity", "particles", "force", "t")
PARAMETERS = ("beta", "Nu", "rho", "eta", "zeta", "M")
TIME = "t-coordinate"
TEST_SHARE = 10
FACTS = {"citation": "Takamoto et al. 2022, arXiv:2210.07182", "license": "CC-BY-4.0"}


def detects(path: str | Path) -> str | None:
    """Return None if the file has one of PDEBench's layouts, otherwise why not."""
    found = contents(path)
    if found is None:
        return f"{Path(path).name} is no HDF5 file"
    return None if isinstance(layout := _layout(found), tuple) else layout


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert files of one equation on one grid; each is divided into test and train.

    A parameter that differs between the files becomes the samples' condition.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,test}/NAME.h5 (NAME_0.h5, ... for several files).

    Raises:
        SchemaError: shapes, coordinates or parameters disagree, in a file or between files.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        sources = [_source(file, stack.enter_context(open_file(file))) for file in files]
        parameters = [source.parameters for source in sources]
        shared, varying = shared_and_varying(parameters, files=files)
        samples = [source.samples(folder.name, shared, varying) for source in sources]
        check_alike(files, samples)
        parts = []
        for stem, one in zip(stems(folder, len(files)), samples, strict=True):
            first = one.count // TEST_SHARE
            parts += [
                Part("train", stem, one, range(first, one.count)),
                Part("test", stem, one, range(first)),
            ]
        return write_set(folder, parts)


def opened(paths: Sequence[str | Path], split: str | None) -> list[Foreign]:
    """Describe one file for reading where it lies, or several; None is all samples of each.

    Raises:
        SchemaError: as `convert`.
    """
    files, described = [Path(path) for path in paths], []
    with ExitStack() as stack:
        sources = [_source(file, stack.enter_context(open_file(file))) for file in files]
        shared, varying = shared_and_varying([one.parameters for one in sources], files=files)
        for file, source in zip(files, sources, strict=True):
            spec, count, facts = source.described(files[0].stem, shared, varying)
            first = count // TEST_SHARE
            rows = {None: range(count), "train": range(first, count), "test": range(first)}
            values = np.tile([source.parameters[name] for name in varying], (count, 1))
            if some := rows.get(split):
                stored, dtype = source.stored(), source.dtype
                described.append(Foreign(file, spec, facts, stored, dtype, values, some))
    return described


def _layout(found: Contents) -> tuple[str, ...] | str:
    """Names of the data sets that hold samples, or why the file is no such file."""
    shapes = found.shapes
    if "tensor" in shapes:
        return _tensor_layout(shapes)
    if set(FLOW) <= set(shapes) and VELOCITIES[0] in shapes:
        return (*FLOW, *(name for name in VELOCITIES if name in shapes))
    if set(INCOMPRESSIBLE) <= set(shapes):
        return INCOMPRESSIBLE[:3]
    return "no `tensor`, no `density` with `pressure` and `Vx`, no `velocity` with `particles`"


def _tensor_layout(shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...] | str:
    shape = shapes["tensor"]
    if "nu" in shapes:
        return ("nu", "tensor")
    if "x-coordinate" not in shapes:
        return f"`tensor` {shape} without `x-coordinate`"
    if len(shape) == 3 or (len(shape) == 4 and shape[0] == 1 and "y-coordinate" not in shapes):
        return ("tensor",)
    return f"`tensor` {shape} without `nu`: no 1d data of shape (N, T, X) or (1, N, T, X)"


def _source(file: Path, handle: h5py.File) -> "_Arrays":
    found = contents(file)
    layout = _layout(found) if found else "no HDF5 file"
    if isinstance(layout, str):
        raise SchemaError(layout, file=file, advice="it has none of PDEBench's layouts")
    with damage_told(file):
        return _Arrays(file, handle, layout)


class _Arrays:
    """A file whose data sets have the samples first."""

    def __init__(self, file: Path, handle: h5py.File, names: tuple[str, ...]):
        self.file = file
        self._data = {name: schema.dataset(handle, name) for name in names}
        self._handle = handle
        self._darcy = "nu" in names
        self._incompressible = "velocity" in names
        # (1, N, T, X): the samples are one level down.
        tensor = self._data.get("tensor")
        self._nested = tensor is not None and tensor.ndim == 4 and not self._darcy
        attributes = schema.attributes(handle)
        self.parameters = {
            name: _number(attributes[name], file, name) for name in PARAMETERS if name in attributes
        }

    def described(
        self, name: str, shared: dict[str, float], varying: tuple[str, ...]
    ) -> tuple[DatasetSpec, int, dict[str, Any]]:
        """Spec, number of samples and provenance, after a check of all shapes."""
        with damage_told(self.file):
            grid, times = self._grid(), self._times()
            facts = {**FACTS, **self._origin(grid), **configuration(self._handle)}
        count = self._count(grid, len(times))
        spec = DatasetSpec(
            name, grid, self._fields(), times, equation_parameters=shared, parameters=varying
        )
        return spec, count, facts

    def samples(self, name: str, shared: dict[str, float], varying: tuple[str, ...]) -> Samples:
        """Describe the samples, after a check of all shapes."""
        spec, count, facts = self.described(name, shared, varying)

        def read(rows: slice) -> dict[str, np.ndarray]:
            values = self._read(rows)
            some = rows.stop - rows.start
            return values | {p: np.full(some, self.parameters[p]) for p in varying}

        return Samples(spec, count, self.dtype, read, provenance([self.file], **facts))

    @property
    def dtype(self) -> np.dtype:
        """That holds all data sets without loss."""
        return stored_dtype(*(data.dtype for data in self._data.values()))

    def stored(self) -> dict[str, Stored]:
        """Where the fields lie."""
        if self._darcy:
            return {"coefficient": Stored("nu", "nxy"), "solution": Stored("tensor", "ntxy")}
        if self._incompressible:
            particles = Stored("particles", "ntxyc", part=0)
            velocity, force = Stored("velocity", "ntxyc"), Stored("force", "nxyc")
            return {"force": force, "velocity": velocity, "particles": particles}
        if "tensor" in self._data:
            return {"u": Stored("tensor", "1ntx" if self._nested else "ntx")}
        space = "".join(place[0] for place in self._places)
        return {name: Stored(name, f"nt{space}") for name in self._data}

    @property
    def _places(self) -> list[str]:
        dims = 2 if self._darcy else 1 if "tensor" in self._data else len(self._data) - len(FLOW)
        return [f"{axis}-coordinate" for axis in AXIS_NAMES[:dims]]

    def _coordinates(self) -> list[np.ndarray]:
        return [schema.dataset(self._handle, place)[()] for place in self._places]

    def _grid(self) -> Grid:
        if self._incompressible:
            return Grid(self._data["velocity"].shape[2:4], 1.0, False, "cell")
        whole = not self._darcy and "tensor" in self._data
        periodic = whole or (not self._darcy and "periodic" in self.file.name.lower())
        return axes.cells(self._coordinates(), periodic, file=self.file, places=self._places)

    def _origin(self, grid: Grid) -> dict[str, Any]:
        if self._incompressible:
            return {}
        return {"origin": axes.left_ends(self._coordinates(), grid)}

    def _times(self) -> tuple[float, ...]:
        if self._darcy:
            return (0.0,)
        frames = next(iter(self._data.values())).shape[2 if self._nested else 1]
        place = "t" if self._incompressible else TIME
        stored = self._handle.get(place)
        values = stored[()] if isinstance(stored, h5py.Dataset) else None
        if self._incompressible and values is not None:
            values = axes.common_row(values, file=self.file, place=place)
        return axes.times(values, frames, file=self.file, place=place, surplus=1)

    def _count(self, grid: Grid, frames: int) -> int:
        """Number of samples; all shapes must follow from it."""
        lead = self._data["nu" if self._darcy else next(iter(self._data))]
        count = lead.shape[1 if self._nested else 0]
        expected = {}
        for name in self._data:
            time = () if name in ("nu", "force") else (frames,)
            channels = {"velocity": (2,), "particles": (1,), "force": (2,)}.get(name, ())
            nested = (1,) if self._nested else ()
            expected[name] = (*nested, count, *time, *grid.shape, *channels)
        wrong = [
            f"{name} has shape {self._data[name].shape}, expected {shape}"
            for name, shape in expected.items()
            if self._data[name].shape != shape
        ]
        if wrong:
            raise SchemaError(
                "; ".join(wrong), file=self.file, advice="compare with the coordinates in the file"
            )
        return count

    def _fields(self) -> tuple[FieldSpec, ...]:
        if self._darcy:
            solution = FieldSpec("solution", "output", time_varying=True)
            return (FieldSpec("coefficient", "input"), solution)
        if self._incompressible:
            return (
                FieldSpec("force", "input", order=1),
                FieldSpec("velocity", "output", time_varying=True, order=1),
                FieldSpec("particles", "output", time_varying=True),
            )
        names = ("u",) if "tensor" in self._data else tuple(self._data)
        return tuple(FieldSpec(name, "output", time_varying=True) for name in names)

    def _read(self, rows: slice) -> dict[str, np.ndarray]:
        values = {}
        for name, data in self._data.items():
            with damage_told(self.file, f"{name}, samples {rows.start} to {rows.stop - 1}"):
                values[name] = data[0, rows] if self._nested else data[rows]
        if self._darcy:
            return {"coefficient": values["nu"], "solution": values["tensor"]}
        if self._incompressible:
            return values | {"particles": values["particles"][..., 0]}
        return {"u": values["tensor"]} if "tensor" in values else values


def _number(value: Any, file: Path, name: str) -> float:
    try:
        return float(np.asarray(value).reshape(-1)[0])
    except (ValueError, TypeError, IndexError) as error:
        raise SchemaError(
            f"{value!r}", file=file, place=f"attribute {name}", allowed="a number"
        ) from error


def configuration(item: h5py.File | h5py.Group) -> dict[str, str]:
    """The generator's settings, YAML text that some layouts carry."""
    text = schema.attributes(item).get("config")
    return {} if text is None else {"source_config": str(text)}
