"""Fingerprints of samples, of their fields and seeds together, and of what a file says of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np
import xxhash

from .schema import MASK, UNSEALED, Records, sampled_fields
from .spec import DatasetSpec


def sample_hash(arrays: Iterable[np.ndarray]) -> int:
    """xxh3_64 over raw little-endian bytes: a sample's fields sorted by name, then its parameters.

    The parameters are float64 and add nothing where a data set has none.
    """
    digest = xxhash.xxh3_64()
    for array in arrays:
        digest.update(_bytes(array))
    return digest.intdigest()


def data_hash(
    spec: DatasetSpec, records: Records, rows: np.ndarray, fixed: Mapping[str, np.ndarray]
) -> str:
    """SHA-256 that two data sets share exactly if fields and seeds are the same; times are not in.

    Args:
        spec: names the fields.
        records: of the file.
        rows: the samples that count, in their order.
        fixed: what is stored once, by HDF5 path: constant fields and the mask.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([one.name for one in spec.varying]).encode())
    for path, value in sorted(fixed.items()):
        varies = path == MASK and value.ndim > spec.grid.dims
        digest.update(path.encode() + _bytes(value[rows] if varies else value))
    digest.update(_bytes(records.seed[rows]) + _bytes(records.hash[rows]))
    return digest.hexdigest()


def description_hash(file: h5py.File) -> str:
    """xxh3_128 over all of a file that no sample's hash covers: attributes, records, constants."""
    digest = xxhash.xxh3_128()
    sampled = sampled_fields(file)

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        names = sorted(set(item.attrs) - set(UNSEALED))
        attributes = [(name, _plain(item.attrs[name])) for name in names]
        digest.update(json.dumps([path, attributes]).encode())
        if isinstance(item, h5py.Dataset):
            digest.update(f"{item.shape} {item.dtype}".encode())
            if path not in sampled:
                digest.update(_bytes(item[()]))

    visit("", file)
    paths: list[str] = []
    file.visit(paths.append)
    for path in sorted(paths):
        visit(path, file[path])  # type: ignore[arg-type]  # no named types: `check_structure`
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _bytes(array: np.ndarray) -> bytes:
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
