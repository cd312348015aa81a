"""What an unfinished file still holds, and whether the new run is the one that began it."""

from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from . import schema
from .hashing import sample_hash
from .spec import DatasetSpec

# When a file was begun is no part of what it is.
CREATED = "created_utc"


def differences(
    file: h5py.File,
    spec: DatasetSpec,
    samples: int,
    *,
    provenance: Mapping[str, Any],
    fixed: Mapping[str, np.ndarray],
    layout: str,
    dtype: np.dtype,
    masks_compared: bool = True,
) -> list[str]:
    """Return what the writer of an unfinished file did otherwise, one line each.

    Masks that are written sample by sample are not compared: each is as its sample's field.
    """
    wrong = spec.differences(schema.read_spec(file))
    there = len(schema.read_records(file).seed)
    if there != samples:
        wrong.append(f"samples is {samples} here and {there} there")
    stored, plain = schema.read_provenance(file), schema.plain_provenance(provenance)
    wrong += [
        f"provenance {key} is {plain.get(key)!r} here and {stored.get(key)!r} there"
        for key in sorted((set(stored) | set(plain)) - {CREATED})
        if stored.get(key) != plain.get(key)
    ]
    if wrong:
        return wrong  # Storage can be compared for equal fields only.
    for one in spec.varying:
        data = schema.dataset(file, schema.location(one))
        found = "contiguous" if data.chunks is None else "chunked", data.dtype
        if found != (layout, dtype):
            wrong.append(f"{one.name} is {layout} {dtype} here and {found[0]} {found[1]} there")
    kept = schema.read_fixed(file, spec)
    return wrong + [
        f"{path} differs"
        for path in sorted(set(kept) | set(fixed))
        if masks_compared or path != schema.MASK
        if not np.array_equal(kept.get(path, np.empty(0)), fixed.get(path, np.empty(0)))
    ]


def intact_samples(
    file: h5py.File, spec: DatasetSpec
) -> Iterator[tuple[int, dict[str, np.ndarray], int]]:
    """Yield (index, fields, status) of the samples whose hash is right."""
    records = schema.read_records(file)
    for index in records.done.tolist():
        try:
            arrays = {
                one.name: schema.dataset(file, schema.location(one))[index] for one in spec.varying
            }
        except OSError:
            # A chunk that was torn by the kill fails its checksum; the sample is made again.
            continue
        if sample_hash([*arrays.values(), records.parameters[index]]) == int(records.hash[index]):
            yield index, arrays, int(records.status[index])
