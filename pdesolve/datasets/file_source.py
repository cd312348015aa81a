"""Samples read from files when they are asked for."""

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
        self._handles: dict[tuple[int, int], h5py.File] = {}
        self._space = (self.spec.grid.stride_slice(stride),) * self.spec.grid.dims
        # Which file and which row of it each sample is.
        self._file = np.repeat(np.arange(len(files)), [len(h.written) for h in headers])
        self._row = np.concatenate([h.written for h in headers])
        self.records = schema.Records(
            *(
                np.concatenate([getattr(h.records, name)[h.written] for h in headers])
                for name in schema.Records.__dataclass_fields__
            )
        )
        if not len(self._row):
            raise SplitError("no sample may be read", file=files[0], allowed="at least one")

    def __len__(self) -> int:
        return len(self._row)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": {}}

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
        x = [self._channels(one, indices) for one in self.spec.by_role("input")]
        y = [self._channels(one, indices) for one in self.spec.by_role("output")]
        condition = None
        if self.spec.parameters:
            condition = torch.from_numpy(self.records.parameters[indices]).to(self.dtype)
        return Batch(
            torch.cat(x, 1),
            torch.cat(y, 1),
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

    def _channels(self, one: FieldSpec, indices: np.ndarray) -> Tensor:
        """One field as channels, shape (b, c, *grid)."""
        place = schema.location(one)
        if one.sample_varying:
            values = self._rows(place, indices)
        else:
            values = np.broadcast_to(
                self.fixed[place], (len(indices), *self.spec.stored_shape(one))
            )
        if one.time_varying:
            values = values[:, 0]
        values = values[(slice(None), *self._space)]
        values = values[:, None] if one.order == 0 else np.moveaxis(values, -1, 1)
        tensor = torch.from_numpy(_owned(values)).to(self.dtype)
        self._check_finite(tensor, place, indices)
        return tensor

    def _rows(self, place: str, indices: np.ndarray) -> np.ndarray:
        parts = []
        for number, rows in _runs(self._file[indices], self._row[indices]):
            where = f"{place}, samples {rows.start} to {rows.stop - 1}"
            with damage_told(self.files[number], where):
                parts.append(schema.dataset(self._handle(number), place)[rows])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

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

    def _handle(self, number: int) -> h5py.File:
        # By process: HDF5's state must not be shared over a fork. The parent's handle stays in
        # the dictionary, since closing it here would release the parent's lock.
        key = (os.getpid(), number)
        if key not in self._handles:
            self._handles[key] = open_file(self.files[number])
        return self._handles[key]

    def _check_finite(self, values: Tensor, place: str, indices: np.ndarray) -> None:
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


def _runs(files: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, slice]]:
    """Split samples into runs of neighbours in one file: one read for each."""
    breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(rows) != 1)) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        first, last = rows[run[0]], rows[run[-1]]
        yield int(files[run[0]]), slice(int(first), int(last) + 1)
