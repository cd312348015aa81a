"""The Well's HDF5 files of other authors; ours, which keep its rules too, open without conversion.

Fields that vary in time become outputs of T times, the others inputs; a tensor becomes one field a
component (name_xx, name_xy, ...), a field that is the same along an axis is repeated along it.
Scalars become the samples' condition, or the equation's parameters where all samples share them.
The kinds and masks of the boundaries are kept as text in the attribute `source_boundaries`; where
the box begins is in `origin`, since a Grid begins at 0.

Of an axis that is not periodic the first coordinate x_0 and the spacing h tell where points are:
x_0 / h is a whole number for points that include both ends, and half of one off for cell centres.

Refused: other than uniform cartesian grids, and times, coordinates or scalars that vary where this
layout holds one value.

The split is the folder that a file lies in (train, valid or test); elsewhere it is train.

Source: Ohana et al. 2024, arXiv:2412.00568; format of PolymathicAI/the_well (2026-06).
"""

import itertools
import json
from collections.abc import Mapping, Sequence
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
from ..stored import COMPONENTS, SAMPLES, TIMES, Stored
from . import axes
from .contents import contents
from .conversion import Part, Samples, check_alike, provenance, stems, stored_dtype, write_set

SPLITS = ("train", "valid", "test")
_GROUPS = (schema.DIMENSIONS, schema.BOUNDARIES, schema.SCALARS, *schema.FIELD_GROUPS)
_FACTS = {"citation": "Ohana et al. 2024, arXiv:2412.00568", "license": "CC-BY-4.0"}


def detects(path: str | Path) -> str | None:
    """Return None if the file has The Well's groups and pdesolve did not write it."""
    found = contents(path)
    if found is None:
        return f"{Path(path).name} is no HDF5 file"
    lacking = [name for name in _GROUPS if name not in found.groups]
    if lacking:
        return f"no group {', '.join(lacking)}"
    if schema.VERSION in found.attributes:
        return "pdesolve wrote it: open it with open_dataset"
    return None


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert files of one data set; each keeps its split.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,valid,test}/NAME.h5 (NAME_0.h5, ... for several).

    Raises:
        SchemaError: a file holds what this layout cannot, or files disagree.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        sources = [_Source(file, stack.enter_context(open_file(file))) for file in files]
        shared, varying = _scalars_of(sources)
        samples = [source.samples(folder.name, shared, varying) for source in sources]
        check_alike(files, samples)
        return write_set(
            folder,
            [
                Part(_split(file), stem, one, range(one.count))
                for file, stem, one in zip(files, stems(folder, len(files)), samples, strict=True)
            ],
        )


def opened(paths: Sequence[str | Path], split: str | None) -> list[Foreign]:
    """Describe files for reading where they lie.

    A scalar that differs between any files of the set, of whatever split, is a condition.

    Args:
        paths: the files.
        split: the folder in which they lie; None is whatever it is.

    Raises:
        SchemaError: as `convert`; tensors of order 2 must be converted.
    """
    files = [Path(path) for path in paths]
    with ExitStack() as stack:
        every = dict.fromkeys([*files, *_others(files[0])])
        sources = {file: _Source(file, stack.enter_context(open_file(file))) for file in every}
        shared, varying = _scalars_of(list(sources.values()))
        name = files[0].parents[2].name if len(every) > len(files) else files[0].stem
        return [
            sources[file].foreign(name, shared, varying)
            for file in files
            if split in (None, _split(file))
        ]


def _others(file: Path) -> list[Path]:
    """Files of the set in the folders of its splits."""
    if file.parent.name not in SPLITS:
        return []
    folders = [file.parent.with_name(split) for split in SPLITS]
    return [one for folder in folders for one in sorted(folder.glob("*.h*5")) if not detects(one)]


def _split(file: Path) -> str:
    return file.parent.name if file.parent.name in SPLITS else "train"


def _scalars_of(sources: Sequence["_Source"]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Scalars that all samples of all files share, and the names of the others."""
    for source in sources:
        if set(source.scalars) != set(sources[0].scalars):
            raise SchemaError(
                f"scalars {sorted(source.scalars)}",
                file=source.file,
                place=schema.SCALARS,
                allowed=f"{sorted(sources[0].scalars)} as in {sources[0].file.name}",
            )
    values = {
        name: np.concatenate([source.scalars[name] for source in sources])
        for name in sources[0].scalars
    }
    shared = {name: float(one[0]) for name, one in values.items() if len(set(one.tolist())) == 1}
    return shared, tuple(name for name in values if name not in shared)


def _check_cartesian(file: Path, grid_type: Any) -> None:
    if grid_type != "cartesian":
        raise SchemaError(
            f"{grid_type!r}",
            file=file,
            place=schema.GRID_TYPE,
            allowed="'cartesian': distances on another grid would be wrong",
            advice="interpolate the fields to a cartesian grid, then call from_arrays",
        )


def _components(order: int, name: str, dims: int) -> list[str]:
    if order < 2:
        return [name]
    pairs = itertools.product(AXIS_NAMES[:dims], AXIS_NAMES[:dims])
    return [f"{name}_{first}{second}" for first, second in pairs]


class _Source:
    """One opened file.

    Attributes:
        scalars: by name, one number for each sample.
    """

    def __init__(self, file: Path, handle: h5py.File):
        self.file = file
        self._handle = handle
        with damage_told(file):
            root = schema.attributes(handle)
            _check_cartesian(file, root.get(schema.GRID_TYPE))
            self.count = int(root[schema.TRAJECTORIES])
            dimensions = schema.group(handle, schema.DIMENSIONS)
            self._axes = [str(n) for n in schema.attributes(dimensions)[schema.SPATIAL_NAMES]]
            self._coordinates = [self._one_row(f"{schema.DIMENSIONS}/{n}") for n in self._axes]
            self._periodic = self._periodic_axes()
            self.scalars = {name: self._scalar(name) for name in self._names(schema.SCALARS)}
            self._fields = [
                (order, name)
                for order, group in enumerate(schema.FIELD_GROUPS)
                for name in self._names(group)
            ]

    def described(
        self, name: str, shared: Mapping[str, float], varying: Sequence[str]
    ) -> tuple[DatasetSpec, dict[str, Any]]:
        """Spec and provenance, after a check of all shapes."""
        with damage_told(self.file):
            places = [f"{schema.DIMENSIONS}/{name}" for name in self._axes]
            grid = axes.uniform(self._coordinates, self._periodic, file=self.file, places=places)
            place = f"{schema.DIMENSIONS}/{schema.TIME}"
            stored = self._one_row(place)
            times = axes.times(stored, len(stored), file=self.file, place=place)
            self._check_shapes(grid, len(times))
            fields = [spec for order, one in self._fields for spec in self._specs(order, one)]
            boundaries = json.dumps(self._boundaries())
        spec = DatasetSpec(
            name,
            grid,
            tuple(fields),
            times,
            equation_parameters=dict(shared),
            parameters=tuple(varying),
        )
        origin = [float(values[0]) for values in self._coordinates]
        return spec, {**_FACTS, "origin": origin, "source_boundaries": boundaries}

    def samples(self, name: str, shared: Mapping[str, float], varying: Sequence[str]) -> Samples:
        """Describe the samples for conversion."""
        spec, facts = self.described(name, shared, varying)
        made, read = provenance([self.file], **facts), self._reader(spec.parameters)
        return Samples(spec, self.count, self._dtype, read, made, self._constants())

    def foreign(self, name: str, shared: Mapping[str, float], varying: Sequence[str]) -> Foreign:
        """Describe the samples for reading where they lie.

        Raises:
            SchemaError: a tensor of order 2, whose components are fields of their own here.
        """
        spec, facts = self.described(name, shared, varying)
        if tensors := [one for order, one in self._fields if order > 1]:
            raise SchemaError(
                f"tensors {tensors}",
                file=self.file,
                advice="convert the set with `pdesolve data convert FILES`",
            )
        constants, values = self._constants(), [self.scalars[one] for one in varying]
        return Foreign(
            self.file,
            spec,
            facts,
            {one: self._stored(order, one) for order, one in self._fields},
            self._dtype,
            np.stack(values, 1) if values else np.empty((self.count, 0)),
            range(self.count),
            {schema.location(one): np.array(constants[one.name]) for one in spec.fixed},
        )

    def _stored(self, order: int, name: str) -> Stored:
        space = zip(AXIS_NAMES, self._dim_varying(order, name), strict=False)
        lead = SAMPLES * self._flag(order, name, schema.SAMPLE_VARYING)
        lead += TIMES * self._flag(order, name, schema.TIME_VARYING)
        letters = "".join(letter for letter, varies in space if varies)
        place = f"{schema.FIELD_GROUPS[order]}/{name}"
        return Stored(place, f"{lead}{letters}{COMPONENTS * order}")

    @property
    def _dtype(self) -> np.dtype:
        return stored_dtype(*(self._data(order, one).dtype for order, one in self._fields))

    def _constants(self) -> dict[str, np.ndarray]:
        """Fields that do not vary from sample to sample."""
        return {
            key: value
            for order, one in self._fields
            if not self._flag(order, one, schema.SAMPLE_VARYING)
            for key, value in self._read_field(order, one, None).items()
        }

    def _reader(self, parameters: Sequence[str]):
        def read(rows: slice) -> dict[str, np.ndarray]:
            values = {name: self.scalars[name][rows] for name in parameters}
            for order, one in self._fields:
                if self._flag(order, one, schema.SAMPLE_VARYING):
                    values |= self._read_field(order, one, rows)
            return values

        return read

    def _specs(self, order: int, name: str) -> list[FieldSpec]:
        """One field of order 0 or 1; the components of a tensor."""
        time = self._flag(order, name, schema.TIME_VARYING)
        units = str(schema.attributes(self._data(order, name)).get(schema.UNITS, "1"))
        return [
            FieldSpec(
                one,
                "output" if time else "input",
                units,
                time_varying=time,
                sample_varying=self._flag(order, name, schema.SAMPLE_VARYING),
                order=1 if order == 1 else 0,
            )
            for one in _components(order, name, len(self._axes))
        ]

    def _read_field(self, order: int, name: str, rows: slice | None) -> dict[str, np.ndarray]:
        """Values by component; repeated along the axes on which the field does not depend."""
        data = self._data(order, name)
        with damage_told(self.file, str(data.name)):
            values = np.asarray(data[()] if rows is None else data[rows])
        flags = (rows is not None, self._flag(order, name, schema.TIME_VARYING))
        lead = values.shape[: sum(flags)]
        shape = tuple(len(one) for one in self._coordinates)
        varies = self._dim_varying(order, name)
        tail = values.shape[values.ndim - order :]
        kept = [n if one else 1 for n, one in zip(shape, varies, strict=True)]
        whole = np.broadcast_to(values.reshape(*lead, *kept, *tail), (*lead, *shape, *tail))
        if order < 2:
            return {name: whole}
        dims = range(len(self._axes))
        components = _components(order, name, len(self._axes))
        pairs = itertools.product(dims, dims)
        return {one: whole[..., i, j] for one, (i, j) in zip(components, pairs, strict=True)}

    def _check_shapes(self, grid: Grid, frames: int) -> None:
        wrong = []
        for order, name in self._fields:
            data = self._data(order, name)
            varies = self._dim_varying(order, name)
            if len(varies) != grid.dims:
                wrong.append(f"{data.name} has {schema.DIM_VARYING} {varies}")
                continue
            expected = (
                *(self.count,) * self._flag(order, name, schema.SAMPLE_VARYING),
                *(frames,) * self._flag(order, name, schema.TIME_VARYING),
                *(n for n, one in zip(grid.shape, varies, strict=True) if one),
                *(grid.dims,) * order,
            )
            if data.shape != expected:
                wrong.append(f"{data.name} has shape {data.shape}, expected {expected}")
        if wrong:
            raise SchemaError(
                "; ".join(wrong), file=self.file, advice="check it with The Well's own checker"
            )

    def _names(self, group: str) -> list[str]:
        item = schema.group(self._handle, group)
        return [str(name) for name in schema.attributes(item)[schema.FIELD_NAMES]]

    def _data(self, order: int, name: str) -> h5py.Dataset:
        return schema.dataset(self._handle, f"{schema.FIELD_GROUPS[order]}/{name}")

    def _flag(self, order: int, name: str, flag: str) -> bool:
        return bool(schema.attributes(self._data(order, name))[flag])

    def _dim_varying(self, order: int, name: str) -> list[bool]:
        stored = schema.attributes(self._data(order, name))[schema.DIM_VARYING]
        return [bool(one) for one in np.atleast_1d(stored)]

    def _one_row(self, place: str) -> np.ndarray:
        values = schema.dataset(self._handle, place)[()]
        if np.ndim(values) < 2:
            return values
        return axes.common_row(values.reshape(-1, values.shape[-1]), file=self.file, place=place)

    def _scalar(self, name: str) -> np.ndarray:
        data = schema.dataset(self._handle, f"{schema.SCALARS}/{name}")
        if schema.attributes(data)[schema.TIME_VARYING]:
            raise SchemaError(
                "a scalar that varies in time",
                file=self.file,
                place=str(data.name),
                allowed="one number for each sample",
                advice="drop it, or store it as a field",
            )
        varies = schema.attributes(data)[schema.SAMPLE_VARYING]
        values = np.asarray(data[()], np.float64).reshape(-1)
        if len(values) != (self.count if varies else 1):
            raise SchemaError(
                f"shape {data.shape}", file=self.file, place=str(data.name), allowed="one a sample"
            )
        return np.broadcast_to(values, (self.count,))

    def _periodic_axes(self) -> list[bool]:
        periodic = set()
        for one in self._boundaries():
            if one[schema.BOUNDARY_KIND].upper() == "PERIODIC":
                periodic |= set(one[schema.BOUNDARY_DIMS])
        return [name in periodic for name in self._axes]

    def _boundaries(self) -> list[dict[str, Any]]:
        """Kind, axes and fields of each boundary, and how many points it has."""
        described = []
        for name, item in schema.group(self._handle, schema.BOUNDARIES).items():
            known = schema.attributes(item)
            mask = item.get(schema.BOUNDARY_MASK) if isinstance(item, h5py.Group) else None
            described.append(
                {
                    "name": str(name),
                    schema.BOUNDARY_KIND: str(known.get(schema.BOUNDARY_KIND)),
                    schema.BOUNDARY_DIMS: [str(n) for n in known.get(schema.BOUNDARY_DIMS, ())],
                    schema.BOUNDARY_FIELDS: [str(n) for n in known.get(schema.BOUNDARY_FIELDS, ())],
                    "points": int(mask[()].sum()) if isinstance(mask, h5py.Dataset) else 0,
                }
            )
        return described
