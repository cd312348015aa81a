"""PDEBench's HDF5 files with one group for each sample.

    0000/data       (T, X, 1)       1d diffusion-sorption: concentration
                    (T, X, Y, 2)    2d diffusion-reaction: activator, inhibitor
                    (T, X, Y, 1)    2d shallow water: height
    0000/grid/      x, y: cell centres; t: may have one entry more than there are frames
    0000, config    attribute, the generator's settings as YAML text

The groups may have any names (a subset of a published file is such a file) and are taken in sorted
order. No axis is periodic. PDEBench's loader of such files tests on the last tenth of the samples,
and so does this one; the rest is train. What evolves is an output of T times.

Source: Takamoto et al. 2022, arXiv:2210.07182; DaRUS record 10.18419/darus-2986.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import schema
from ..errors import SchemaError
from ..opening import damage_told, open_file
from ..spec import AXIS_NAMES, DatasetSpec, FieldSpec
from . import axes
from .contents import contents
from .conversion import Part, Samples, check_alike, provenance, stems, stored_dtype, write_set
from .pdebench import FACTS, TEST_SHARE, configuration

# By (axes of space, number of channels).
CHANNELS = {
    (1, 1): ("concentration",),
    (2, 2): ("activator", "inhibitor"),
    (2, 1): ("height",),
}


def detects(path: str | Path) -> str | None:
    """Return None if the file has this layout, otherwise why not."""
    found = contents(path)
    if found is None:
        return f"{Path(path).name} is no HDF5 file"
    if not found.groups or f"{found.groups[0]}/data" not in found.shapes:
        return "no group with `data`, such as 0000/data"
    return None


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert files of one equation on one grid; each is divided into train and test.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,test}/NAME.h5 (NAME_0.h5, ... for several files).

    Raises:
        SchemaError: shapes or coordinates disagree, in a file or between files.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        samples = []
        for file in files:
            handle = stack.enter_context(open_file(file))
            with damage_told(file):
                samples.append(_Groups(file, handle).samples(folder.name))
        check_alike(files, samples)
        parts = []
        for stem, one in zip(stems(folder, len(files)), samples, strict=True):
            first = one.count - one.count // TEST_SHARE
            parts += [
                Part("train", stem, one, range(first)),
                Part("test", stem, one, range(first, one.count)),
            ]
        return write_set(folder, parts)


class _Groups:
    """One file, opened."""

    def __init__(self, file: Path, handle: h5py.File):
        self.file = file
        self._handle = handle
        self._names = sorted(str(k) for k in handle if isinstance(handle[k], h5py.Group))

    def samples(self, name: str) -> Samples:
        """Describe the samples, after a check of every group."""
        first = self._group(self._names[0])
        *space, channels = first["data"].shape[1:]
        names = CHANNELS.get((len(space), channels))
        if names is None:
            raise SchemaError(
                f"shape {first['data'].shape}",
                file=self.file,
                place=f"{self._names[0]}/data",
                allowed="(T, X, 1), (T, X, Y, 1) or (T, X, Y, 2)",
            )
        self._check_groups(first)
        coordinates = [first[axis] for axis in AXIS_NAMES[: len(space)]]
        places = [f"{self._names[0]}/grid/{axis}" for axis in AXIS_NAMES[: len(space)]]
        grid = axes.cells(coordinates, False, file=self.file, places=places)
        place = f"{self._names[0]}/grid/t"
        times = axes.times(
            first["t"], first["data"].shape[0], file=self.file, place=place, surplus=1
        )
        if first["data"].shape[1:-1] != grid.shape:
            raise SchemaError(
                f"shape {first['data'].shape} on a grid {grid.shape}",
                file=self.file,
                place=f"{self._names[0]}/data",
                allowed="as many points as coordinates",
            )
        fields = tuple(FieldSpec(one, "output", time_varying=True) for one in names)

        def read(rows: slice) -> dict[str, np.ndarray]:
            stacked = np.stack([self._sample(one) for one in self._names[rows]])
            return {one: stacked[..., k] for k, one in enumerate(names)}

        facts = {
            **FACTS,
            "origin": axes.left_ends(coordinates, grid),
            **configuration(schema.group(self._handle, self._names[0])),
        }
        spec = DatasetSpec(name, grid, fields, times)
        dtype = stored_dtype(first["data"].dtype)
        count = len(self._names)
        return Samples(spec, count, dtype, read, provenance([self.file], **facts))

    def _group(self, name: str) -> dict[str, Any]:
        """The data of one group as it lies in the file, its coordinates read."""
        data = schema.dataset(self._handle, f"{name}/data")
        if data.ndim not in (3, 4):
            raise SchemaError(
                f"shape {data.shape}",
                file=self.file,
                place=f"{name}/data",
                allowed="(T, X, channels) or (T, X, Y, channels)",
            )
        wanted = (*AXIS_NAMES[: data.ndim - 2], "t")
        coordinates = {
            axis: schema.dataset(self._handle, f"{name}/grid/{axis}")[()] for axis in wanted
        }
        return {"data": data, **coordinates}

    def _check_groups(self, first: dict[str, Any]) -> None:
        wrong = []
        for name in self._names[1:]:
            other = self._group(name)
            if other["data"].shape != first["data"].shape:
                wrong.append(f"{name}/data has shape {other['data'].shape}")
            wrong += [
                f"{name}/grid/{axis} differs"
                for axis in first
                if axis != "data" and not np.array_equal(other.get(axis, ()), first[axis])
            ]
        if wrong:
            raise SchemaError(
                "; ".join(wrong),
                file=self.file,
                allowed=f"shape {first['data'].shape} and the grid of {self._names[0]} everywhere",
            )

    def _sample(self, name: str) -> np.ndarray:
        with damage_told(self.file, f"{name}/data"):
            return schema.dataset(self._handle, f"{name}/data")[()]
