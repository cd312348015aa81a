"""Samples read from files when they are asked for."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from . import schema
from .dataset import MemorySource
from .errors import NonFiniteError, ResolutionError, SchemaError, SplitError
from .header import Header
from .opening import damage_told, open_file
from .spec import FieldSpec

# What one read of a load into memory may take.
BLOCK_BYTES = 64 * 2**20


class FileSource:
    """Samples of one file, or of several in their order, read when asked for.

    A handle is opened on first use in each process and never inherited over a fork; copies and
    pickles leave handles behind. Rejected and unwritten samples are left out.
    """

    def __init__(
        self, path: Path, files: list[Path], *, stride: int, dtype: torch.dtype, allow_partial: bool
    ):
        headers = [Header(file).usable(allow_partial=allow_partial) for file in files]
        first = headers[0]
        _check_alike(headers)
        _check_supported(first)
        self.files = files
        self.path = path
        self.spec = first.spec
        self.grid = _strided(first, stride)
        self.provenance = first.provenance
        self.fixed = _fixed(headers)
        self.dtype = dtype
        # By (process, file) the handle, by (process, file, place) what is read from.
        self._opened: dict[tuple, Any] = {}
        self._space = (self.spec.grid.stride_slice(stride),) * self.spec.grid.dims
        # Which file and which row of it each sample is.
        self._file = np.repeat(np.arange(len(files)), [len(h.written) for h in headers])
        self._row = np.concatenate([h.written for h in headers])
        self.records = schema.Records.joined([h.records.rows(h.written) for h in headers])
        if not len(self._row):
            raise SplitError("no sample may be read", file=files[0], allowed="at least one")

    def __len__(self) -> int:
        return len(self._row)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    @property
    def bytes_per_sample(self) -> int:
        """Memory that one sample's channels take."""
        fields = self.spec.by_role("input") + self.spec.by_role("output")
        channels = sum(len(one.components(self.grid.dims)) for one in fields)
        return channels * int(np.prod(self.grid.shape)) * self.dtype.itemsize

    def read(self, indices: np.ndarray) -> Batch:
        """Return the samples at these positions.

        Raises:
            ChecksumError: stored bytes are damaged.
            NonFiniteError: a field holds NaN or infinity.
        """
        condition = None
        if self.spec.parameters:
            condition = torch.from_numpy(self.records.parameters[indices]).to(self.dtype)
        return Batch(
            self._channels(self.spec.by_role("input"), indices),
            self._channels(self.spec.by_role("output"), indices),
            self.grid,
            condition,
            self.spec.parameters,
            self._mask(indices),
        )

    def loaded(self) -> MemorySource:
        """Read all samples into memory."""
        block = max(1, BLOCK_BYTES // self.bytes_per_sample)
        whole = self.read(np.arange(min(block, len(self))))
        if len(self) > block:
            whole = self._joined(whole, block)
        return MemorySource(
            whole, self.spec, self.grid, self.path, self.provenance, self.records, self.fixed
        )

    def _joined(self, first: Batch, block: int) -> Batch:
        # Filled block by block, so that the peak is the samples and one block.
        held = {
            n: t for n in ("x", "y", "condition", "mask") if (t := getattr(first, n)) is not None
        }
        whole = {n: t.new_empty((len(self), *t.shape[1:])) for n, t in held.items()}
        for start in range(0, len(self), block):
            stop = min(start + block, len(self))
            part = first if start == 0 else self.read(np.arange(start, stop))
            for name, tensor in whole.items():
                tensor[start:stop] = getattr(part, name)
        return Batch(grid=self.grid, condition_names=self.spec.parameters, **whole)

    def _channels(self, fields: tuple[FieldSpec, ...], indices: np.ndarray) -> Tensor:
        """Fields as channels, shape (b, c, *grid), each value copied once."""
        widths = [len(one.components(self.grid.dims)) for one in fields]
        shape = (len(indices), sum(widths), *self.grid.shape)
        channels = torch.empty(shape, dtype=self.dtype)
        for one, part in zip(fields, channels.split(widths, 1), strict=True):
            for positions, values in self._pieces(one, indices):
                values = values[:, 0] if one.time_varying else values
                values = values[(slice(None), *self._space)]
                values = np.moveaxis(values, -1, 1) if one.order else values[:, None]
                part[positions] = torch.from_numpy(values)
            self._check_finite(part, schema.location(one), indices)
        return channels

    def _pieces(self, one: FieldSpec, indices: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield what is stored of a field with the positions in the batch that it is for."""
        place = schema.location(one)
        if not one.sample_varying:
            yield slice(None), self.fixed[place][None]
            return
        files, rows = self._file[indices], self._row[indices]
        # Neighbours in a file are read at once.
        breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(rows) != 1)) + 1
        ends = [0, *breaks.tolist(), len(rows)]
        for start, stop in itertools.pairwise(ends):
            first, number = int(rows[start]), int(files[start])
            wanted = slice(first, first + stop - start)
            where = f"{place}, samples {first} to {wanted.stop - 1}"
            with damage_told(self.files[number], where):
                values = self._stored(number, place)[wanted]
            yield slice(start, stop), values

    def _mask(self, indices: np.ndarray) -> Tensor | None:
        if schema.MASK not in self.fixed:
            return None
        stored = self.fixed[schema.MASK]
        if stored.ndim == self.grid.dims:
            values = np.broadcast_to(stored, (len(indices), *stored.shape))
        else:
            values = stored[indices]
        values = _owned(values[(slice(None), *self._space)])
        return torch.from_numpy(values)[:, None].to(self.dtype)

    def _stored(self, number: int, place: str) -> h5py.Dataset | np.memmap:
        # By process: HDF5's state must not be shared over a fork. The parent's entries stay in
        # the dictionary, since closing its file here would release the parent's lock.
        key = (os.getpid(), number, place)
        if key not in self._opened:
            file = self._opened.get(key[:2]) or open_file(self.files[number])
            data = schema.dataset(file, place)
            # Looking a data set up costs as much as reading a sample, so it is kept; plain bytes
            # are mapped, which is 4 times as fast as reading them through HDF5.
            mapped = data.chunks is None and data.id.get_offset() is not None
            self._opened |= {key[:2]: file, key: _mapped(data) if mapped else data}
        return self._opened[key]

    def _check_finite(self, values: Tensor, place: str, indices: np.ndarray) -> None:
        # One pass over the data; a sum that overflows is looked at again.
        if torch.isfinite(values.sum()):
            return
        wrong = ~torch.isfinite(values)
        if wrong.any():
            sample = int(wrong.flatten(1).any(1).nonzero()[0])
            number = self._file[indices[sample]]
            raise NonFiniteError(
                f"sample {self._row[indices[sample]]} has {int(wrong[sample].sum())} values "
                "that are NaN or infinite",
                file=self.files[number],
                place=place,
                allowed="finite numbers",
                advice="list all with `pdesolve data verify FILE`, then generate again",
            )


def _fixed(headers: list[Header]) -> dict[str, np.ndarray]:
    """What is stored once; a mask for each sample is cut to those that may be used."""
    fixed = dict(headers[0].fixed)
    if schema.MASK in fixed and fixed[schema.MASK].ndim > headers[0].spec.grid.dims:
        fixed[schema.MASK] = np.concatenate([h.fixed[schema.MASK][h.written] for h in headers])
    return fixed


def _mapped(data: h5py.Dataset) -> np.memmap:
    # Copy on write: torch wants memory that it may write to, and the file stays as it is.
    return np.memmap(data.file.filename, data.dtype, "c", data.id.get_offset(), data.shape)


def _owned(values: np.ndarray) -> np.ndarray:
    """Contiguous and writable, as torch wants it; copies only if it must."""
    return np.require(values, requirements=["C", "W"])


def _check_alike(headers: list[Header]) -> None:
    first = headers[0]
    for other in headers[1:]:
        wrong = first.spec.differences(other.spec)
        dims = first.spec.grid.dims
        for path, here in first.fixed.items():
            there = other.fixed.get(path, np.empty(0))
            of_samples = path == schema.MASK and here.ndim == there.ndim == dims + 1
            if not of_samples and not np.array_equal(here, there):
                wrong.append(f"{path} differs")
        if wrong:
            raise SchemaError("; ".join(wrong), file=other.file, allowed=f"as in {first.file.name}")


def _check_supported(header: Header) -> None:
    spec = header.spec
    if len(spec.times) > 1:
        raise SchemaError(
            f"{len(spec.times)} times",
            file=header.file,
            place=f"{schema.DIMENSIONS}/{schema.TIME}",
            allowed="one time: pairs and windows in time are not read yet",
            advice="store the time to learn as one output field",
        )
    for role in ("input", "output"):
        if not spec.by_role(role):
            raise SchemaError(f"no {role} field", file=header.file, place=schema.ROLES)


def _strided(header: Header, stride: int) -> Grid:
    try:
        return header.spec.grid.strided(stride)
    except ValueError as error:
        raise ResolutionError(str(error), file=header.file) from error
