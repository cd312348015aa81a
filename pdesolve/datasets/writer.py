"""Write samples one by one so that a killed run loses at most the sample it was writing."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np

from . import schema, skeleton
from .checks import matched_fields, matched_mask, matched_parameters, require_finite
from .errors import ExistingFileError, FileBusyError, IncompleteFileError, SchemaError
from .hashing import description_hash, sample_hash
from .manifest import write_manifest as write_manifest
from .opening import UNFINISHED, open_file
from .resume import CREATED, differences, intact_samples
from .spec import DatasetSpec
from .statistics import Moments, field_moments, merge, plain

_NASCENT = ".new"
# Between the two values of a field that is a mask.
_INSIDE = 0.5


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
        mask: True inside the domain, shape (*grid) or (samples, *grid); or the name of an input
            field that is 1 inside and 0 outside, which is then each sample's mask; with ~ before
            the name, of one that is 0 inside and 1 outside.
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
        self._mask_field = mask.removeprefix("~") if isinstance(mask, str) else ""
        self._outside = isinstance(mask, str) and mask.startswith("~")
        if self._mask_field:
            if self._mask_field not in {one.name for one in spec.varying}:
                raise SchemaError(
                    f"mask is {mask!r}",
                    file=self.path,
                    allowed=f"an array, or one of {[one.name for one in spec.varying]}",
                )
            mask = np.ones((samples, *spec.grid.shape), bool)
        self._mask = None if mask is None else matched_mask(spec, samples, mask, file=self.path)
        self._unfinished = self.path.with_name(self.path.name + UNFINISHED)
        if self.path.exists():
            raise ExistingFileError(
                "the file is finished already", file=self.path, advice="delete it or choose another"
            )
        fixed = self._fixed(constants or {})
        if self._unfinished.exists():
            self._file = self._continue(provenance, fixed, layout, resume)
        else:
            self._file = self._begin(provenance, fixed, layout)
        self._data = {
            one.name: schema.dataset(self._file, schema.location(one)) for one in spec.varying
        }
        self._records = {path: schema.dataset(self._file, path) for path in schema.RECORDS}

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
        spec, file = self.spec, self.path
        arrays = matched_fields(spec, spec.varying, fields, dtype=self._dtype, file=file)
        values = matched_parameters(spec, parameters or {}, file=file)
        if not rejected:
            checked = {**arrays, "parameters": values}
            require_finite(checked, file=file, sample=f"sample {index}")
        for name, array in arrays.items():
            self._data[name][index] = array
        self._write_mask(self._file, index, arrays)
        records = {
            schema.SEED: seed,
            schema.HASH: np.uint64(sample_hash([*arrays.values(), values])),
            schema.RESIDUAL: residual,
            schema.SECONDS: seconds,
            schema.PARAMETERS: values,
        }
        for place, value in records.items():
            self._records[place][index] = value
        self._file.flush()
        # Only now: a status on disk says that the sample's bytes are there before it.
        status = schema.REJECTED if rejected else schema.WRITTEN
        self._records[schema.STATUS][index] = status
        self._file.flush()
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
        schema.seal(file, description_hash(file))
        file.close()
        _sync(self._unfinished)
        # Of writers that were killed while beginning; before the renaming, after which a killed
        # writer is not run again.
        for left in self.path.parent.glob(f"{self.path.name}.*{_NASCENT}"):
            left.unlink(missing_ok=True)
        os.rename(self._unfinished, self.path)
        _sync(self.path.parent)
        return self.path

    def _fixed(self, constants: Mapping[str, Any]) -> dict[str, np.ndarray]:
        spec, file = self.spec, self.path
        arrays = matched_fields(spec, spec.fixed, constants, dtype=self._dtype, file=file)
        require_finite(arrays, file=file, sample="a constant")
        fixed = {schema.location(one): arrays[one.name] for one in spec.fixed}
        if self._mask is not None:
            fixed[schema.MASK] = self._mask.astype("u1")
        return fixed

    def _write_mask(self, file: h5py.File, index: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Store the field that is the sample's mask as such, before statistics use it."""
        if self._mask_field and self._mask is not None:
            inside = (arrays[self._mask_field] > _INSIDE) != self._outside
            self._mask[index] = inside
            schema.dataset(file, schema.MASK)[index] = inside

    def _begin(
        self, provenance: Mapping[str, Any], fixed: Mapping[str, np.ndarray], layout: Any
    ) -> h5py.File:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made under a name of its own first: an unfinished file always has all of its structure.
        nascent = self.path.with_name(f"{self.path.name}.{os.getpid()}{_NASCENT}")
        stamped = {CREATED: datetime.now(UTC).isoformat(timespec="seconds"), **provenance}
        try:
            with h5py.File(nascent, "w") as file:
                skeleton.create(
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

    def _continue(
        self,
        provenance: Mapping[str, Any],
        fixed: Mapping[str, np.ndarray],
        layout: str,
        resume: bool,
    ) -> h5py.File:
        # Opened even if it may not be resumed: a living writer is the more urgent news.
        file = open_file(self._unfinished, "r+")
        try:
            if not resume:
                raise IncompleteFileError(
                    "an unfinished file is there",
                    file=self._unfinished,
                    advice="continue it with resume=True (`pdesolve generate ...` does), or "
                    "delete it",
                )
            wrong = differences(
                file,
                self.spec,
                self.samples,
                provenance=provenance,
                fixed=fixed,
                layout=layout,
                dtype=self._dtype,
                masks_compared=not self._mask_field,
            )
            if wrong:
                raise SchemaError(
                    "; ".join(wrong),
                    file=self._unfinished,
                    allowed="the settings with which it was begun",
                    advice="go back to them, or delete the unfinished file",
                )
            for index, arrays, status in intact_samples(file, self.spec):
                self._write_mask(file, index, arrays)
                self._count(index, arrays, status)
        except BaseException:
            file.close()
            raise
        return file

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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
