"""What every format's tests do: read a converted file back, break a source, make examples."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from pdesolve.datasets import DataError, schema
from pdesolve.datasets.formats import convert
from pdesolve.datasets.header import Header


def read_back(path: Path) -> SimpleNamespace:
    """All that a converted file holds, read with h5py alone: fields by name, samples first."""
    header = Header(path).usable()
    with h5py.File(path) as file:
        fields = {one.name: file[schema.location(one)][()] for one in header.spec.fields}
    parameters = dict(zip(header.spec.parameters, header.records.parameters.T, strict=True))
    return SimpleNamespace(
        spec=header.spec,
        fields=fields,
        parameters=parameters,
        status=header.records.status,
        provenance=header.provenance,
    )


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp()
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


def same(read: np.ndarray, written: np.ndarray) -> bool:
    """Bitwise the same numbers, in float32 unless they were float64."""
    wide = written.dtype.itemsize > 4
    return read.dtype == (np.float64 if wide else np.float32) and np.array_equal(
        read, written.astype(read.dtype)
    )


def truncations_are_told(paths: list[Path], folder: Path, lengths: int = 32) -> None:
    """Cut the last of the files at many lengths: each conversion gives a DataError."""
    whole = paths[-1].read_bytes()
    for step in range(lengths):
        paths[-1].write_bytes(whole[: len(whole) * step // lengths])
        try:
            convert(paths, folder / f"cut_{step}")
        except DataError:
            continue
        raise AssertionError(f"a file cut to {step}/{lengths} was converted")
    paths[-1].write_bytes(whole)


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above; conftest cannot be imported by name."""
    return SimpleNamespace(
        read_back=read_back,
        temporary_folder=temporary_folder,
        same=same,
        truncations_are_told=truncations_are_told,
    )
