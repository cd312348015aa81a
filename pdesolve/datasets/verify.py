"""Is a file what its writer left, and can it be true? Every sample is read and judged."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from ..grid import Grid
from . import schema
from .errors import DataError, MissingFileError
from .hashing import sample_hash
from .header import Header
from .opening import damage_told, open_file
from .statistics import Moments, field_moments, merge, plain
from .well import validate

# Returns (name, suspicious samples, sentence) for each invariant of an equation.
Check = Callable[[dict[str, Tensor], Grid], Sequence[tuple[str, Tensor, str]]]

_SAMPLES_AT_ONCE = 64
# Sums of 1e9 float64 numbers agree to about this, whatever their order.
_STATISTICS_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and with which samples; no samples means the file."""

    kind: str
    message: str
    place: str = ""
    samples: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(str(index) for index in self.samples[:8])
        more = f" and {len(self.samples) - 8} more" if len(self.samples) > 8 else ""
        # An error's own message names its place already.
        place = "" if self.place in self.message else self.place
        told = ": ".join(part for part in (self.kind, place, self.message) if part)
        return f"{told} (samples {shown}{more})" if self.samples else told


@dataclass(frozen=True)
class Report:
    """What `verify` found; a file without errors is what its writer left.

    Args:
        errors: damage.
        warnings: sound bytes that look wrong: rejected samples, broken invariants.
        samples: samples that may be used.
        data_hash: of the fields and seeds of those; "" if the file does not open.
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    samples: int
    data_hash: str

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def verify(path: str | Path, *, full: bool = True, check: Check | None = None) -> Report:
    """Read a file critically.

    Args:
        path: the file.
        full: read every sample: hashes, finiteness, statistics and the check. False looks at the
            structure and the records alone.
        check: invariants of the equation, `check(fields, grid)` with fields (b, *grid) of some
            samples by name, such as the method `check` of an equation; (b, t, *grid) where an
            equation that evolves is recorded. What it suspects is a warning: published data break
            maximum principles, too.

    Raises:
        MissingFileError: there is no such file. Everything else is in the report.
    """
    try:
        header = Header(Path(path))
        with damage_told(path):
            broken = validate(path)
    except MissingFileError:
        raise
    except DataError as error:
        return Report((_finding(error),), (), 0, "")
    errors = [Finding("SchemaError", sentence) for sentence in broken]
    for needs in (True, False):
        try:
            header.usable(allow_partial=needs)
        except DataError as error:
            errors.append(_finding(error))
            break
    warnings = _rejected(header)
    if full:
        with open_file(path) as file:
            reading = _Reading(header, file, check)
        errors += reading.errors
        warnings += reading.warnings
    return Report(tuple(errors), tuple(warnings), len(header.written), header.data_hash)


def inspect(path: str | Path) -> dict[str, Any]:
    """What is in a file, or in each file of a set's folder, as JSON values.

    Raises:
        DataError: a file cannot be opened, or its layout is wrong.
    """
    path = Path(path)
    if path.is_dir():
        return {str(file.relative_to(path)): inspect(file) for file in sorted(path.rglob("*.h5"))}
    header = Header(path)
    spec, records = header.spec, header.records
    return {
        "name": spec.name,
        "bytes": path.stat().st_size,
        "complete": header.complete,
        "samples": len(records.seed),
        "written": len(header.written),
        "rejected": int((records.status == schema.REJECTED).sum()),
        "data_hash": header.data_hash,
        "grid": spec.grid.as_dict(),
        "times": list(spec.times),
        "equation": spec.equation,
        "equation_parameters": spec.equation_parameters,
        "parameters": list(spec.parameters),
        "fields": {
            one.name: {
                "role": one.role,
                "units": one.units,
                "order": one.order,
                "sample_varying": one.sample_varying,
                "time_varying": one.time_varying,
                "shape": list(spec.stored_shape(one)),
                "statistics": header.statistics.get(one.name, {}),
            }
            for one in spec.fields
        },
        "mask": schema.MASK in header.fixed,
        "provenance": header.provenance,
    }


def _finding(error: DataError) -> Finding:
    return Finding(type(error).__name__, str(error), error.place)


def _rejected(header: Header) -> list[Finding]:
    rejected = np.flatnonzero(header.records.status == schema.REJECTED)
    if not len(rejected):
        return []
    return [Finding("rejected", "the generator's solver failed", "", tuple(rejected.tolist()))]


class _Reading:
    """Reads all samples of a file and collects what is wrong with them."""

    def __init__(self, header: Header, file: h5py.File, check: Check | None):
        self._header = header
        self._file = file
        self._damaged: list[int] = []
        self._unreadable: dict[str, list[int]] = {}
        self._infinite: dict[str, list[int]] = {}
        self._suspicious: dict[tuple[str, str], list[int]] = {}
        self._moments: dict[str, list[dict[str, Moments]]] = {}
        for rows, fields in self._blocks():
            for position, row in enumerate(rows):
                self._judge(row, {name: values[position] for name, values in fields.items()})
            if check is not None and rows:
                self._check(check, rows, fields)
        self.errors = [
            Finding("ChecksumError", "stored bytes are damaged", place, tuple(rows))
            for place, rows in self._unreadable.items()
        ]
        if self._damaged:
            text = "fields or parameters differ from the hash"
            self.errors.append(Finding("ChecksumError", text, "", tuple(self._damaged)))
        self.errors += [
            Finding("NonFiniteError", "NaN or infinite values", name, tuple(rows))
            for name, rows in self._infinite.items()
        ]
        if not self.errors and header.complete:
            self.errors += self._statistics()
        self.warnings = [
            Finding(name, sentence, "", tuple(rows))
            for (name, sentence), rows in self._suspicious.items()
        ]

    def _blocks(self) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """Yield written or rejected samples that can be read, some at a time."""
        done = self._header.records.done.tolist()
        for start in range(0, len(done), _SAMPLES_AT_ONCE):
            read = {row: self._read(row) for row in done[start : start + _SAMPLES_AT_ONCE]}
            rows = [row for row, fields in read.items() if fields is not None]
            names = [one.name for one in self._header.spec.varying]
            chosen = [read[row] or {} for row in rows]
            yield rows, {name: np.array([fields[name] for fields in chosen]) for name in names}

    def _read(self, row: int) -> dict[str, np.ndarray] | None:
        fields = {}
        for one in self._header.spec.varying:
            place = schema.location(one)
            try:
                fields[one.name] = schema.dataset(self._file, place)[row]
            except (OSError, RuntimeError):
                self._unreadable.setdefault(place, []).append(row)
        return fields if len(fields) == len(self._header.spec.varying) else None

    def _judge(self, row: int, fields: Mapping[str, np.ndarray]) -> None:
        records, spec = self._header.records, self._header.spec
        if sample_hash([*fields.values(), records.parameters[row]]) != int(records.hash[row]):
            self._damaged.append(row)
        if records.status[row] == schema.REJECTED:
            return
        for one in spec.varying:
            values = fields[one.name]
            if not np.isfinite(values).all():
                self._infinite.setdefault(one.name, []).append(row)
                continue
            moments = field_moments(
                values,
                spec.grid.dims,
                time_varying=one.time_varying,
                mask=self._header.mask(row),
            )
            self._moments.setdefault(one.name, []).append(moments)

    def _check(self, check: Check, rows: list[int], fields: Mapping[str, np.ndarray]) -> None:
        spec, header = self._header.spec, self._header
        used = [k for k, row in enumerate(rows) if header.records.status[row] == schema.WRITTEN]
        seen = {}
        for one in spec.fields:
            if one.sample_varying:
                values = fields[one.name][used]
            else:
                stored = header.fixed[schema.location(one)]
                values = np.repeat(stored[None], len(used), 0)
            # An equation that evolves says when it is recorded, and expects the axis of time.
            evolves = len(spec.times) > 1 or "times" in spec.equation_parameters
            steady = one.time_varying and not evolves
            seen[one.name] = torch.from_numpy(values[:, 0] if steady else values)
        for name, suspicious, sentence in check(seen, spec.grid):
            found = [rows[used[k]] for k in torch.nonzero(suspicious)[:, 0].tolist()]
            if found:
                self._suspicious.setdefault((name, sentence), []).extend(found)

    def _statistics(self) -> list[Finding]:
        wrong = []
        for one in self._header.spec.varying:
            parts = self._moments.get(one.name, [])
            stored = self._header.statistics.get(one.name, {})
            if not parts:
                continue
            found = plain({key: merge(part[key] for part in parts) for key in parts[0]}, one.order)
            different = sorted(
                key
                for key, value in found.items()
                if not np.allclose(value, stored.get(key, np.nan), rtol=_STATISTICS_TOLERANCE)
            )
            if different:
                wrong.append(Finding("StatisticsError", f"stored {different} are wrong", one.name))
        return wrong
