"""The layout of a data file: The Well's HDF5 groups with a /pdesolve group beside them.

No other file spells an HDF5 name. A steady problem is stored with one time: inputs do not vary in
time, outputs do.

Source: The Well, Ohana et al. 2024, arXiv:2412.00568, data format of its repository
(PolymathicAI/the_well). Added here: roles, seeds, hashes, status, statistics, mask, provenance.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, get_args

import h5py
import numpy as np

from ..grid import Grid
from .errors import DataError, SchemaError, UnknownFormatError
from .spec import AXIS_NAMES, DatasetSpec, FieldSpec, Role

# The Well's names.
NAME = "dataset_name"
GRID_TYPE = "grid_type"
SPATIAL_DIMS = "n_spatial_dims"
TRAJECTORIES = "n_trajectories"
SIMULATION_PARAMETERS = "simulation_parameters"
DIMENSIONS, SPATIAL_NAMES, TIME = "dimensions", "spatial_dims", "time"
BOUNDARIES = "boundary_conditions"
BOUNDARY_KIND, BOUNDARY_MASK = "bc_type", "mask"
BOUNDARY_DIMS, BOUNDARY_FIELDS = "associated_dims", "associated_fields"
SCALARS = "scalars"
FIELD_GROUPS = ("t0_fields", "t1_fields", "t2_fields")
FIELD_NAMES = "field_names"
SAMPLE_VARYING, TIME_VARYING, DIM_VARYING = "sample_varying", "time_varying", "dim_varying"

# Names added here.
VERSION, COMPLETE, DIGEST = "pds_version", "pds_complete", "pds_digest"
EQUATION, EQUATION_PARAMETERS, GRID = "equation", "equation_parameters", "grid"
UNITS, PERIODIC, PLACEMENT = "units", "periodic", "location"
ROLES = "pdesolve/roles"
SAMPLES = "pdesolve/samples"
SEED, STATUS, HASH = f"{SAMPLES}/seed", f"{SAMPLES}/status", f"{SAMPLES}/xxh3"
PARAMETERS, PARAMETER_NAMES = f"{SAMPLES}/params", "names"
RESIDUAL, SECONDS = f"{SAMPLES}/residual", f"{SAMPLES}/wall_s"
RECORDS = (SEED, STATUS, HASH, PARAMETERS, RESIDUAL, SECONDS)
STATISTICS = "pdesolve/stats"
COUNT = "count"
STATISTICS_KEYS = ("mean", "std", "rms", "min", "max")
MASK = "pdesolve/mask/domain"
DIGEST_LENGTH = 32
# Written last, so the digest cannot cover them.
UNSEALED = (COMPLETE, DIGEST)

EMPTY, WRITTEN, REJECTED = 0, 1, 2
# Of samples that were not generated here.
NO_SEED = -1

RESERVED = {
    NAME, GRID_TYPE, SPATIAL_DIMS, TRAJECTORIES, SIMULATION_PARAMETERS, VERSION, COMPLETE, DIGEST,
    EQUATION, EQUATION_PARAMETERS, GRID,
}  # fmt: skip


def statistics_key(name: str, suffix: str) -> str:
    """Name of a statistic: of a field itself (suffix "") or of its steps in time ("delta")."""
    return f"{name}_{suffix}" if suffix else name


def location(one: FieldSpec) -> str:
    """HDF5 path of a field."""
    return f"{FIELD_GROUPS[one.order]}/{one.name}"


def seal(file: h5py.File, digest: str) -> None:
    """Store the hash of all but the samples' fields and mark the file as complete."""
    # `modify` overwrites in place: no metadata move, so a kill here leaves a file that opens.
    file.attrs.modify(DIGEST, np.bytes_(digest))
    file.flush()
    file.attrs.modify(COMPLETE, np.uint8(1))


def write_fixed(file: h5py.File, fixed: Mapping[str, np.ndarray]) -> None:
    """Write what is stored once, by HDF5 path: constant fields and the mask."""
    for path, value in fixed.items():
        if path == MASK:
            file.create_dataset(path, data=value)
        else:
            dataset(file, path)[...] = value


def read_fixed(file: h5py.File, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Read what is stored once, by HDF5 path: constant fields and the mask (1 inside)."""
    paths = [location(one) for one in spec.fixed] + [MASK] * (MASK in file)
    return {path: dataset(file, path)[()] for path in paths}


@dataclass(frozen=True)
class Records:
    """What a file says about its samples, one entry each; times are in seconds."""

    seed: np.ndarray
    status: np.ndarray
    hash: np.ndarray
    parameters: np.ndarray
    residual: np.ndarray
    seconds: np.ndarray

    def rows(self, indices: np.ndarray) -> "Records":
        """Records of some samples."""
        return Records(*(getattr(self, one.name)[indices] for one in dataclass_fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["Records"]) -> "Records":
        """Records of several files, one after the other."""
        names = [one.name for one in dataclass_fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def written(self) -> np.ndarray:
        """Indices of the samples that may be used."""
        return np.flatnonzero(self.status == WRITTEN)

    @property
    def done(self) -> np.ndarray:
        """Indices of the samples that are written or rejected."""
        return np.flatnonzero(self.status != EMPTY)


def role_attribute(role: Role) -> str:
    """Attribute of the roles' group that lists the fields of one role."""
    return f"{role}s"


def read_records(file: h5py.File) -> Records:
    """Read the per-sample records."""
    return Records(*(dataset(file, path)[()] for path in RECORDS))


def is_complete(file: h5py.File) -> bool:
    """Whether the writer has finished."""
    return bool(file.attrs.get(COMPLETE, 0))


def digest(file: h5py.File) -> str:
    """Hash that the writer stored of everything but the samples' fields."""
    return attributes(file).get(DIGEST, b"").decode("ascii", "replace")


def read_spec(file: h5py.File) -> DatasetSpec:
    """Read the spec back from a file and check every shape against it.

    Raises:
        UnknownFormatError: the file lacks the groups of this layout.
        SchemaError: groups, names or shapes disagree; all disagreements are listed.
    """
    if VERSION not in file.attrs or ROLES not in file:
        raise UnknownFormatError(
            f"no {VERSION} attribute and no {ROLES} group (it holds {sorted(file)[:8]})",
            file=file.filename,
            allowed="a file that pdesolve wrote",
            advice="convert it with `pdesolve data convert FILE`",
        )
    try:
        root = attributes(file)
        spec = DatasetSpec(
            name=str(root[NAME]),
            grid=Grid(**json.loads(root[GRID])),
            fields=tuple(_read_field(file, name, role) for name, role in _read_roles(file)),
            times=tuple(float(time) for time in dataset(file, f"{DIMENSIONS}/{TIME}")[()]),
            equation=str(root[EQUATION]),
            equation_parameters=json.loads(root[EQUATION_PARAMETERS]),
            parameters=tuple(
                str(p) for p in attributes(dataset(file, PARAMETERS))[PARAMETER_NAMES]
            ),
        )
        wrong = _mismatches(file, spec, int(root[TRAJECTORIES]))
    except DataError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SchemaError(f"unreadable layout ({error})", file=file.filename) from error
    if wrong:
        raise SchemaError(
            "; ".join(wrong),
            file=file.filename,
            advice="the file was changed after it was written: generate or convert it again",
        )
    return spec


def plain_provenance(provenance: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Provenance as attributes hold it: numbers and text, anything else as JSON text."""
    return {
        key: value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in provenance.items()
    }


def read_provenance(file: h5py.File) -> dict[str, Any]:
    """Root attributes that tell where the data came from."""
    return {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in attributes(file).items()
        if key not in RESERVED
    }


def sampled_fields(file: h5py.File) -> set[str]:
    """HDF5 paths of the fields that are stored for every sample."""
    return {
        f"{fields}/{name}"
        for fields in FIELD_GROUPS
        for name, data in group(file, fields).items()
        if data.attrs[SAMPLE_VARYING]
    }


def write_statistics(file: h5py.File, statistics: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the stored statistics, {field: {"mean": number or one a component, ...}}."""
    for name, values in statistics.items():
        stored = group(file, f"{STATISTICS}/{name}")
        for key, value in values.items():
            stored.attrs.modify(key, np.asarray(value, stored.attrs[key].dtype))


def read_statistics(file: h5py.File) -> dict[str, dict[str, Any]]:
    """Read the stored statistics as plain numbers and lists."""
    return {
        name: {key: np.asarray(value).tolist() for key, value in attributes(values).items()}
        for name, values in group(file, STATISTICS).items()
    }


def attributes(item: h5py.File | h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Attributes of an item; h5py's own mapping has no precise types."""
    return dict(item.attrs.items())


def group(file: h5py.File, path: str) -> h5py.Group:
    """Return the group at a path.

    Raises:
        SchemaError: something else, or nothing, is there.
    """
    found = file.get(path)
    if not isinstance(found, h5py.Group):
        raise SchemaError("no group", file=file.filename, place=path)
    return found


def dataset(file: h5py.File, path: str) -> h5py.Dataset:
    """Return the HDF5 data set at a path.

    Raises:
        SchemaError: something else, or nothing, is there.
    """
    found = file.get(path)
    if not isinstance(found, h5py.Dataset):
        raise SchemaError("no data set", file=file.filename, place=path)
    return found


def _read_roles(file: h5py.File) -> list[tuple[str, Any]]:
    roles = attributes(group(file, ROLES))
    return [(str(n), role) for role in get_args(Role) for n in roles[role_attribute(role)]]


def _read_field(file: h5py.File, name: str, role: Any) -> FieldSpec:
    orders = [k for k, fields in enumerate(FIELD_GROUPS) if name in group(file, fields)]
    if not orders:
        raise SchemaError(f"no field {name!r}", file=file.filename, place=ROLES)
    described = attributes(dataset(file, f"{FIELD_GROUPS[orders[0]]}/{name}"))
    return FieldSpec(
        name=name,
        role=role,
        units=str(described[UNITS]),
        time_varying=bool(described[TIME_VARYING]),
        sample_varying=bool(described[SAMPLE_VARYING]),
        order=orders[0],
    )


def _mismatches(file: h5py.File, spec: DatasetSpec, samples: int) -> list[str]:
    expected: dict[str, tuple[int, ...]] = {path: (samples,) for path in RECORDS}
    expected[PARAMETERS] = (samples, len(spec.parameters))
    for one in spec.fields:
        lead = (samples,) if one.sample_varying else ()
        expected[location(one)] = lead + spec.stored_shape(one)
    for axis, name in enumerate(AXIS_NAMES[: spec.grid.dims]):
        expected[f"{DIMENSIONS}/{name}"] = (spec.grid.shape[axis],)
    return [
        f"{path} has shape {dataset(file, path).shape}, expected {shape}"
        for path, shape in expected.items()
        if dataset(file, path).shape != shape
    ]
