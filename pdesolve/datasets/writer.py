"""Write samples one by one so that a killed run loses at most the sample it was writing."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np

from . import schema
from .errors import (
    ExistingFileError,
    FileBusyError,
    IncompleteFileError,
    NonFiniteError,
    SchemaError,
)
from .hashing import description_hash, sample_hash
from .manifest import write_manifest as write_manifest
from .opening import UNFINISHED, open_file
from .spec import DatasetSpec
from .statistics import Moments, field_moments, merge, plain

CREATED = "created_utc"


class DatasetWriter:
    """Writer of one file; `path` appears only when every sample is there.

        with DatasetWriter(path, spec, samples, provenance={...}, resume=True) as writer:
            for index in set(range(samples)) - writer.written:
                writer.write(index, {...}, seed=...)
            writer.finish()

    Until then the samples are in `path.tmp`. Each one is flushed before its status says that it is
    written, so resuming keeps exactly the samples whose status and hash are right.

    Args:
        path: file to make, ending in .h5; its folder is made too.
        spec: what it holds.
        samples: number of samples.
        provenance: where the data come from (generator, version, seed, licence, ...), numbers,
            text or JSON values; they become root attributes.
        constants: arrays of the fields that do not vary from sample to sample.
        mask: True inside the domain, shape (*grid) or (samples, *grid).
        layout: "chunked" is one sample a chunk with a Fletcher-32 checksum; "contiguous" has no
            checksum but the hash of each sample, and can be memory-mapped.
        dtype: "float32" or "float64".
        resume: continue an unfinished file if there is one.

    Raises:
        ExistingFileError: the finished file is there already.
        IncompleteFileError: an unfinished file is there and resume is False.
        FileBusyError: another writer has the unfinished file open.
        SchemaError: the unfinished file was begun with another spec, provenance or storage.
    """

    def __init__(
        self,
        path: str | Path,
        spec: DatasetSpec,
        samples: int,
        *,
        provenance: Mapping[str, Any],
        constants: Mapping[str, Any] | None = None,
        mask: Any = None,
        layout: Literal["chunked", "contiguous"] = "chunked",
        dtype: Literal["float32", "float64"] = "float32",
        resume: bool = False,
    ):
        self.path = Path(path)
        self.spec = spec
        self.samples = samples
        self.written: set[int] = set()
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._moments: dict[int, dict[str, dict[str, Moments]]] = {}
        self._unfinished = self.path.with_name(self.path.name + UNFINISHED)
        if self.path.exists():
            raise ExistingFileError(
                "the file is finished already", file=self.path, advice="delete it or choose another"
            )
        self._mask = None if mask is None else self._checked_mask(mask)
        fixed = self._checked_constants(constants or {})
        if self._mask is not None:
            fixed[schema.MASK] = self._mask.astype("u1")
        if self._unfinished.exists():
            self._file = self._reopen(resume)
            try:
                self._check_same(provenance, fixed, layout)
                self._keep_written()
            except BaseException:
                self._file.close()
                raise
        else:
            self._file = self._begin(provenance, fixed, layout)

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(
        self,
        index: int,
        fields: Mapping[str, Any],
        *,
        seed: int,
        residual: float = float("nan"),
        seconds: float = 0.0,
        parameters: Mapping[str, float] | None = None,
        rejected: bool = False,
    ) -> None:
        """Write one sample and flush it.

        Args:
            index: 0 <= index < samples.
            fields: one array for each varying field, shape ([time,] *grid [, component]); the time
                axis may be missing where there is one time.
            seed: random seed that made the sample.
            residual: relative residual of the equation.
            seconds: time that the sample took.
            parameters: one number for each of the spec's parameters.
            rejected: keep the sample but never read it (its solver failed).

        Raises:
            SchemaError: names or shapes are not the spec's.
            NonFiniteError: a field or parameter holds NaN or infinity and is not rejected.
        """
        if not 0 <= index < self.samples:
            raise SchemaError(f"index {index}", file=self.path, allowed=f"0 to {self.samples - 1}")
        arrays = self._checked_fields(index, fields, rejected)
        values = self._checked_parameters(parameters or {}, rejected)
        file = self._file
        for name, array in arrays.items():
            schema.dataset(file, self._location(name))[index] = array
        records = {
            schema.SEED: seed,
            schema.HASH: np.uint64(sample_hash([*arrays.values(), values])),
            schema.RESIDUAL: residual,
            schema.SECONDS: seconds,
            schema.PARAMETERS: values,
        }
        for place, value in records.items():
            schema.dataset(file, place)[index] = value
        file.flush()
        # Only now: a status on disk says that the sample's bytes are there before it.
        status = schema.REJECTED if rejected else schema.WRITTEN
        schema.dataset(file, schema.STATUS)[index] = status
        file.flush()
        self._count(index, arrays, status)

    def finish(self) -> Path:
        """Seal the file and give it its name.

        Raises:
            IncompleteFileError: samples are missing.
        """
        if len(self.written) < self.samples:
            raise IncompleteFileError(
                f"{len(self.written)} samples are written",
                file=self._unfinished,
                allowed=f"{self.samples}",
                advice="write the rest, then finish",
            )
        file = self._file
        records = schema.read_records(file)
        for column, name in enumerate(self.spec.parameters):
            schema.dataset(file, f"{schema.SCALARS}/{name}")[...] = records.parameters[:, column]
        schema.write_statistics(file, self._statistics())
        file.attrs[schema.DIGEST] = description_hash(file)
        file.attrs[schema.COMPLETE] = np.uint8(1)
        file.close()
        _sync(self._unfinished)
        os.rename(self._unfinished, self.path)
        _sync(self.path.parent)
        return self.path

    def _begin(
        self, provenance: Mapping[str, Any], fixed: Mapping[str, np.ndarray], layout: Any
    ) -> h5py.File:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made under a name of its own first: an unfinished file always has all of its structure.
        nascent = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        stamped = {CREATED: datetime.now(UTC).isoformat(timespec="seconds"), **provenance}
        try:
            with h5py.File(nascent, "w") as file:
                schema.create(
                    file,
                    self.spec,
                    self.samples,
                    provenance=stamped,
                    layout=layout,
                    dtype=self._dtype.name,
                )
                schema.write_fixed(file, fixed)
            os.link(nascent, self._unfinished)
        except FileExistsError as error:
            raise FileBusyError("another writer began it", file=self._unfinished) from error
        finally:
            nascent.unlink(missing_ok=True)
        return open_file(self._unfinished, "r+")

    def _reopen(self, resume: bool) -> h5py.File:
        # Opened in both cases: a living writer is the more urgent news.
        file = open_file(self._unfinished, "r+")
        if resume:
            return file
        file.close()
        raise IncompleteFileError(
            "an unfinished file is there",
            file=self._unfinished,
            advice="continue it with resume=True (`pdesolve generate ...` does), or delete it",
        )

    def _check_same(
        self, provenance: Mapping[str, Any], fixed: Mapping[str, np.ndarray], layout: str
    ) -> None:
        file = self._file
        wrong = self.spec.differences(schema.read_spec(file))
        stored = schema.read_provenance(file)
        plain = schema.plain_provenance(provenance)
        wrong += [
            f"provenance {key} is {plain.get(key)!r} here and {stored.get(key)!r} there"
            for key in sorted((set(stored) | set(plain)) - {CREATED})
            if stored.get(key) != plain.get(key)
        ]
        records = schema.read_records(file)
        if len(records.seed) != self.samples:
            wrong.append(f"samples is {self.samples} here and {len(records.seed)} there")
        wrong += self._storage_differences(fixed, layout)
        if wrong:
            raise SchemaError(
                "; ".join(wrong),
                file=self._unfinished,
                allowed="the settings with which it was begun",
                advice="go back to them, or delete the unfinished file",
            )

    def _storage_differences(self, fixed: Mapping[str, np.ndarray], layout: str) -> list[str]:
        wrong = []
        for one in self.spec.varying:
            data = schema.dataset(self._file, schema.location(one))
            there = "contiguous" if data.chunks is None else "chunked"
            if there != layout or data.dtype != self._dtype:
                here = f"{layout} {self._dtype.name}"
                wrong.append(f"{one.name} is {here} here and {there} {data.dtype} there")
        stored = schema.read_fixed(self._file, self.spec)
        return wrong + [
            f"{path} differs"
            for path in sorted(set(stored) | set(fixed))
            if not np.array_equal(stored.get(path, np.nan), fixed.get(path, np.nan))
        ]

    def _keep_written(self) -> None:
        records = schema.read_records(self._file)
        for index in records.done.tolist():
            try:
                arrays = {
                    one.name: schema.dataset(self._file, schema.location(one))[index]
                    for one in self.spec.varying
                }
            except OSError:
                # A chunk that was torn by the kill fails its checksum; the sample is made again.
                continue
            found = sample_hash([*arrays.values(), records.parameters[index]])
            if found == int(records.hash[index]):
                self._count(index, arrays, int(records.status[index]))

    def _checked_constants(self, constants: Mapping[str, Any]) -> dict[str, np.ndarray]:
        expected = {one.name: self.spec.stored_shape(one) for one in self.spec.fixed}
        arrays = self._matched("constant", constants, expected)
        for name, array in arrays.items():
            _check_finite(self.path, name, "", array)
        return {self._location(name): array for name, array in arrays.items()}

    def _checked_mask(self, mask: Any) -> np.ndarray:
        grid = self.spec.grid.shape
        inside = np.asarray(mask).astype(bool)
        if inside.shape not in (grid, (self.samples, *grid)):
            raise SchemaError(
                f"shape {inside.shape}",
                file=self.path,
                place="mask",
                allowed=f"{grid} or {(self.samples, *grid)}",
            )
        return inside

    def _checked_fields(
        self, index: int, fields: Mapping[str, Any], rejected: bool
    ) -> dict[str, np.ndarray]:
        expected = {one.name: self.spec.stored_shape(one) for one in self.spec.varying}
        arrays = self._matched("field", fields, expected)
        if not rejected:
            for name, array in arrays.items():
                _check_finite(self.path, name, f"sample {index}, ", array)
        return arrays

    def _checked_parameters(self, parameters: Mapping[str, float], rejected: bool) -> np.ndarray:
        if set(parameters) != set(self.spec.parameters):
            raise SchemaError(
                f"{sorted(parameters)}",
                file=self.path,
                place="parameters",
                allowed=f"{sorted(self.spec.parameters)}",
            )
        values = np.array([parameters[name] for name in self.spec.parameters], "<f8")
        if not rejected:
            _check_finite(self.path, "parameters", "", values)
        return values

    def _matched(
        self, kind: str, given: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]
    ) -> dict[str, np.ndarray]:
        arrays = {name: np.asarray(value, self._dtype) for name, value in given.items()}
        if len(self.spec.times) == 1:
            # The time axis of a steady field may be left out.
            arrays = {
                name: array.reshape(expected[name])
                if name in expected and (1, *array.shape) == expected[name]
                else array
                for name, array in arrays.items()
            }
        wrong = [f"no {kind} {name!r}" for name in expected if name not in arrays]
        wrong += [f"unknown {kind} {name!r}" for name in arrays if name not in expected]
        wrong += [
            f"{kind} {name!r} has shape {array.shape}, expected {expected[name]}"
            for name, array in arrays.items()
            if name in expected and array.shape != expected[name]
        ]
        if wrong:
            raise SchemaError("; ".join(wrong), file=self.path, advice="compare with the spec")
        return {name: arrays[name] for name in expected}

    def _location(self, name: str) -> str:
        return next(schema.location(one) for one in self.spec.fields if one.name == name)

    def _count(self, index: int, arrays: Mapping[str, np.ndarray], status: int) -> None:
        self.written.add(index)
        self._moments.pop(index, None)
        if status == schema.WRITTEN:
            mask = self._mask
            inside = mask[index] if mask is not None and mask.ndim > self.spec.grid.dims else mask
            self._moments[index] = {
                one.name: field_moments(
                    arrays[one.name],
                    self.spec.grid.dims,
                    time_varying=one.time_varying,
                    mask=inside,
                )
                for one in self.spec.varying
            }

    def _statistics(self) -> dict[str, dict[str, Any]]:
        # In the order of the samples, so that a resumed run gives the same bits.
        kept = [self._moments[index] for index in sorted(self._moments)]
        return {
            one.name: plain(
                {key: merge(part[one.name][key] for part in kept) for key in kept[0][one.name]},
                one.order,
            )
            for one in self.spec.varying
            if kept
        }


def _check_finite(file: Path, name: str, sample: str, array: np.ndarray) -> None:
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise NonFiniteError(
            f"{sample}{bad} of {array.size} values are NaN or infinite",
            file=file,
            place=name,
            allowed="finite numbers",
            advice="solve the sample again, or write it with rejected=True",
        )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
