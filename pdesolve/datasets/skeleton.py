"""A file before its samples: all groups, attributes and storage that The Well and we ask for."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import h5py
import numpy as np

from ..grid import Grid
from . import schema
from .errors import SchemaError
from .spec import AXIS_NAMES, DatasetSpec, FieldSpec, Role


def create(
    file: h5py.File,
    spec: DatasetSpec,
    samples: int,
    *,
    provenance: Mapping[str, Any],
    layout: Literal["chunked", "contiguous"],
    dtype: str,
) -> None:
    """Write everything but the samples into an empty file, every float filled with NaN.

    All storage is allocated at once, so that the metadata stay as they are while samples are
    written (a killed writer leaves a file that opens) and a disk that is too small is noticed now.
    """
    _write_root(file, spec, samples, provenance)
    _write_dimensions(file, spec)
    _write_boundaries(file, spec.grid)
    scalars = file.create_group(schema.SCALARS)
    scalars.attrs[schema.FIELD_NAMES] = _strings(spec.parameters)
    for name in spec.parameters:
        data = _allocate(file, f"{schema.SCALARS}/{name}", (samples,), dtype, np.nan)
        _flag(data, sample=True, time=False)
    for order, name in enumerate(schema.FIELD_GROUPS):
        names = [one.name for one in spec.fields if one.order == order]
        file.create_group(name).attrs[schema.FIELD_NAMES] = _strings(names)
    for one in spec.fields:
        _create_field(file, spec, one, samples, layout, dtype)
    roles = file.create_group(schema.ROLES)
    for role in get_args(Role):
        names = [one.name for one in spec.by_role(role)]
        roles.attrs[schema.role_attribute(role)] = _strings(names)
    _create_records(file, spec, samples)
    for one in spec.varying:
        _create_statistics(file, spec, one)


def _write_root(
    file: h5py.File, spec: DatasetSpec, samples: int, provenance: Mapping[str, Any]
) -> None:
    clash = sorted(schema.RESERVED & set(provenance))
    if clash:
        raise SchemaError(f"{clash} are names of the layout", place="provenance", advice="rename")
    file.attrs[schema.NAME] = spec.name
    file.attrs[schema.GRID_TYPE] = "cartesian"
    file.attrs[schema.SPATIAL_DIMS] = spec.grid.dims
    file.attrs[schema.TRAJECTORIES] = samples
    file.attrs[schema.SIMULATION_PARAMETERS] = _strings([])
    file.attrs[schema.VERSION] = "1.0"
    file.attrs[schema.COMPLETE] = np.uint8(0)
    file.attrs[schema.DIGEST] = np.bytes_(" " * schema.DIGEST_LENGTH)
    file.attrs[schema.EQUATION] = spec.equation
    file.attrs[schema.EQUATION_PARAMETERS] = json.dumps(spec.equation_parameters)
    file.attrs[schema.GRID] = json.dumps(spec.grid.as_dict())
    for key, value in schema.plain_provenance(provenance).items():
        file.attrs[key] = value


def _write_dimensions(file: h5py.File, spec: DatasetSpec) -> None:
    grid = spec.grid
    dimensions = file.create_group(schema.DIMENSIONS)
    dimensions.attrs[schema.SPATIAL_NAMES] = _strings(AXIS_NAMES[: grid.dims])
    # float64, so that the spec read back is the one written.
    time = dimensions.create_dataset(schema.TIME, data=np.asarray(spec.times, "<f8"))
    _flag(time, sample=False, time=True)
    for axis, name in enumerate(AXIS_NAMES[: grid.dims]):
        data = dimensions.create_dataset(name, data=grid.axis(axis).numpy().astype("float32"))
        _flag(data, sample=False, time=False)
        data.attrs[schema.PERIODIC] = grid.periodic[axis]
        data.attrs[schema.PLACEMENT] = grid.placement


def _write_boundaries(file: h5py.File, grid: Grid) -> None:
    # Values on a wall are the equation's business; The Well asks for the kind alone.
    boundaries = file.create_group(schema.BOUNDARIES)
    for axis, name in enumerate(AXIS_NAMES[: grid.dims]):
        kind = "periodic" if grid.periodic[axis] else "wall"
        boundary = boundaries.create_group(f"{name}_{kind}")
        boundary.attrs[schema.BOUNDARY_DIMS] = _strings([name])
        boundary.attrs[schema.BOUNDARY_FIELDS] = _strings([])
        boundary.attrs[schema.BOUNDARY_KIND] = kind.upper()
        _flag(boundary, sample=False, time=False)
        ends = np.zeros(grid.shape[axis], bool)
        ends[[0, -1]] = True
        boundary.create_dataset(schema.BOUNDARY_MASK, data=ends)


def _create_field(
    file: h5py.File, spec: DatasetSpec, one: FieldSpec, samples: int, layout: str, dtype: str
) -> None:
    shape = spec.stored_shape(one)
    if one.sample_varying:
        shape = (samples, *shape)
    chunks = (1, *shape[1:]) if one.sample_varying and layout == "chunked" else None
    data = _allocate(file, schema.location(one), shape, dtype, np.nan, chunks)
    _flag(data, sample=one.sample_varying, time=one.time_varying)
    data.attrs[schema.DIM_VARYING] = np.ones(spec.grid.dims, bool)
    data.attrs[schema.UNITS] = one.units


def _create_records(file: h5py.File, spec: DatasetSpec, samples: int) -> None:
    _allocate(file, schema.SEED, (samples,), "<i8", -1)
    _allocate(file, schema.STATUS, (samples,), "u1", schema.EMPTY)
    _allocate(file, schema.HASH, (samples,), "<u8", 0)
    _allocate(file, schema.RESIDUAL, (samples,), "<f8", np.nan)
    _allocate(file, schema.SECONDS, (samples,), "<f8", np.nan)
    parameters = _allocate(file, schema.PARAMETERS, (samples, len(spec.parameters)), "<f8", np.nan)
    parameters.attrs[schema.PARAMETER_NAMES] = _strings(spec.parameters)


def _create_statistics(file: h5py.File, spec: DatasetSpec, one: FieldSpec) -> None:
    stored = file.create_group(f"{schema.STATISTICS}/{one.name}").attrs
    steps = one.time_varying and len(spec.times) > 1
    for suffix in ("", "delta") if steps else ("",):
        stored[schema.statistics_key(schema.COUNT, suffix)] = np.int64(0)
        for key in schema.STATISTICS_KEYS:
            unknown = np.full((spec.grid.dims,) * one.order, np.nan)
            stored[schema.statistics_key(key, suffix)] = (
                unknown if one.order else np.float64(np.nan)
            )


def _allocate(
    file: h5py.File,
    path: str,
    shape: tuple[int, ...],
    dtype: str,
    fill: float,
    chunks: tuple[int, ...] | None = None,
) -> h5py.Dataset:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return file.create_dataset(
        path,
        shape,
        np.dtype(dtype).newbyteorder("<"),
        chunks=chunks,
        fletcher32=chunks is not None,
        fillvalue=fill,
        dcpl=settings,
    )


def _flag(item: h5py.Dataset | h5py.Group, *, sample: bool, time: bool) -> None:
    item.attrs[schema.SAMPLE_VARYING] = np.bool_(sample)
    item.attrs[schema.TIME_VARYING] = np.bool_(time)


def _strings(names: Iterable[str]) -> np.ndarray:
    return np.array(list(names), dtype=h5py.string_dtype())
