"""Open a data file or a folder of splits: in memory if it fits, read as needed otherwise."""

import os
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from . import schema
from .dataset import Dataset, MemorySource
from .errors import (
    ChecksumError,
    IncompleteFileError,
    NonFiniteError,
    ResolutionError,
    SchemaError,
    SplitError,
)
from .hashing import description_hash
from .opening import damaged, open_file
from .spec import FieldSpec

Split = Literal["train", "valid", "test"]
# What one read of a load into memory may take.
BLOCK_BYTES = 64 * 2**20


def open_dataset(
    path: str | Path,
    *,
    split: Split | None = None,
    stride: int = 1,
    dtype: torch.dtype = torch.float32,
    in_memory: bool | Literal["auto"] = "auto",
    allow_partial: bool = False,
) -> Dataset:
    """Open stored samples for training or evaluation.

    Args:
        path: one .h5 file, or the folder of a set, which holds data/{train,valid,test}/*.h5.
        split: the part of a folder; None for a file.
        stride: keep every stride-th point of each axis.
        dtype: of the tensors.
        in_memory: read all samples now; "auto" does so if they take less than half of the free
            memory.
        allow_partial: open an unfinished file too, with the samples that it has.

    Raises:
        DataError: one of its kinds, naming the place and what to do.
    """
    files = _files(Path(path), split)
    source = FileSource(files, stride=stride, dtype=dtype, allow_partial=allow_partial)
    source.path = Path(path)
    size = len(source) * source.bytes_per_sample
    if in_memory is True or (in_memory == "auto" and size < _free_memory() / 2):
        return Dataset(source.loaded())
    return Dataset(source)


class FileSource:
    """Samples of one file, or of several in their order, read when asked for.

    A handle is opened on first use in each process and never inherited over a fork; copies and
    pickles leave handles behind. Rejected and unwritten samples are left out.
    """

    def __init__(self, files: list[Path], *, stride: int, dtype: torch.dtype, allow_partial: bool):
        headers = [_Header(file, allow_partial) for file in files]
        first = headers[0]
        _check_alike(headers)
        _check_supported(first)
        self.files = files
        self.path: Path | None = files[0]
        self.spec = first.spec
        self.grid = _strided(first, stride)
        self.provenance = first.provenance
        self.fixed = first.fixed
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
        tensor = torch.from_numpy(np.require(values, requirements="CW")).to(self.dtype)
        self._check_finite(tensor, place, indices)
        return tensor

    def _rows(self, place: str, indices: np.ndarray) -> np.ndarray:
        parts = []
        for number, rows in _runs(self._file[indices], self._row[indices]):
            try:
                parts.append(schema.dataset(self._handle(number), place)[rows])
            except OSError as error:
                where = f"{place}, samples {rows.start} to {rows.stop - 1}"
                raise damaged(self.files[number], error, where) from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _mask(self, indices: np.ndarray) -> Tensor | None:
        if schema.MASK not in self.fixed:
            return None
        stored = self.fixed[schema.MASK]
        if stored.ndim == self.grid.dims:
            values = np.broadcast_to(stored, (len(indices), *stored.shape))
        else:
            values = self._rows(schema.MASK, indices)
        values = np.require(values[(slice(None), *self._space)], requirements="CW")
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


class _Header:
    """Everything in a file but its samples, checked."""

    def __init__(self, file: Path, allow_partial: bool):
        self.file = file
        with open_file(file) as opened:
            try:
                self.spec = schema.read_spec(opened)
                self.provenance = schema.read_provenance(opened)
                self.records = schema.read_records(opened)
                self.fixed = schema.read_fixed(opened, self.spec)
                self.complete = schema.is_complete(opened)
                sealed = not self.complete or schema.digest(opened) == description_hash(opened)
            except OSError as error:
                raise damaged(file, error) from error
        self.written = self.records.written
        if not sealed:
            raise ChecksumError(
                "attributes or records differ from those written",
                file=file,
                advice="fetch it again, or generate it again with `pdesolve generate ...`",
            )
        if not self.complete and not allow_partial:
            raise IncompleteFileError(
                f"{len(self.written)} of {len(self.records.seed)} samples are written",
                file=file,
                advice="continue with the same `pdesolve generate ...` command, or pass "
                "allow_partial=True",
            )


def _check_alike(headers: list[_Header]) -> None:
    first = headers[0]
    for other in headers[1:]:
        wrong = first.spec.differences(other.spec)
        if any(not np.array_equal(first.fixed[p], other.fixed.get(p)) for p in first.fixed):
            wrong.append("constant fields or the mask differ")
        if wrong:
            raise SchemaError("; ".join(wrong), file=other.file, allowed=f"as in {first.file.name}")


def _check_supported(header: _Header) -> None:
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


def _strided(header: _Header, stride: int):
    try:
        return header.spec.grid.strided(stride)
    except ValueError as error:
        raise ResolutionError(str(error), file=header.file) from error


def _runs(files: np.ndarray, rows: np.ndarray):
    """Split samples into runs of neighbours in one file: one read for each."""
    breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(rows) != 1)) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        first, last = rows[run[0]], rows[run[-1]]
        yield int(files[run[0]]), slice(int(first), int(last) + 1)


def _files(path: Path, split: Split | None) -> list[Path]:
    if not path.is_dir():
        if split is not None:
            raise SplitError(
                f"split {split!r} of a single file",
                file=path,
                advice="leave split out, or divide it with pdesolve.datasets.split",
            )
        return [path]
    folders = sorted(p.name for p in path.glob("data/*") if any(p.glob("*.h5")))
    if split not in folders:
        raise SplitError(
            f"split {split!r}",
            file=path,
            allowed=f"one of {folders}" if folders else "data/{train,valid,test}/*.h5 inside",
        )
    return sorted((path / "data" / split).glob("*.h5"))


def _free_memory() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
