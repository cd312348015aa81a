"""Is a file what its writer left, and can it be true? Every sample is read and judged."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import torch

from ..grid import Grid
from . import schema
from .errors import DataError, MissingFileError
from .hashing import sample_hash
from .header import Header
from .opening import damage_told, open_file
from .report import Fields, Finding, Physics, Report, Residuals
from .statistics import Moments, field_moments, merge, plain
from .well import validate

_SAMPLES_AT_ONCE = 64
# A residual so many times that of a sample solved anew is worth a look, and none below the floor:
# solvers that halve their steps stop there.
_FACTOR, _FLOOR = 10.0, 1e-6
# Suspected samples that are themselves solved anew: near a resonance a true one may stand out.
_SECOND_LOOKS = 8
# Sums of 1e9 float64 numbers agree to about this, whatever their order.
_STATISTICS_TOLERANCE = 1e-9


def verify(path: str | Path, *, full: bool = True, physics: Physics | None = None) -> Report:
    """Read a file critically.

    Args:
        path: the file.
        full: read every sample: hashes, finiteness, statistics and the physics. False looks at the
            structure and the records alone.
        physics: of the file's equation. What it suspects is a warning: published data break
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
    warnings, residuals = _rejected(header), Residuals(reason="no sample was read")
    if full:
        with open_file(path) as file:
            reading = _Reading(header, file, physics or Physics())
        errors += reading.errors
        warnings += reading.warnings
        residuals = reading.residuals
    usable = len(header.written)
    return Report(tuple(errors), tuple(warnings), usable, header.data_hash, residuals)


def _finding(error: DataError) -> Finding:
    return Finding(type(error).__name__, str(error), error.place)


def _rejected(header: Header) -> list[Finding]:
    rejected = np.flatnonzero(header.records.status == schema.REJECTED)
    if not len(rejected):
        return []
    return [Finding("rejected", "the generator's solver failed", "", tuple(rejected.tolist()))]


def _chosen(fields: Fields, places: list[int]) -> Fields:
    return {name: value[places] for name, value in fields.items()}


class _Reading:
    """Reads all samples of a file and collects what is wrong with them."""

    def __init__(self, header: Header, file: h5py.File, physics: Physics):
        self._header = header
        self._file = file
        self._physics = physics
        self._reason = physics.reason if physics.residual is None else ""
        self._residuals: dict[int, float] = {}
        self._anew: float | None = None
        self._doubted: list[int] = []
        self._looked = 0
        self._damaged: list[int] = []
        self._unreadable: dict[str, list[int]] = {}
        self._infinite: dict[str, list[int]] = {}
        self._suspicious: dict[tuple[str, str], list[int]] = {}
        self._moments: dict[str, list[dict[str, Moments]]] = {}
        for rows, fields in self._blocks():
            for position, row in enumerate(rows):
                self._judge(row, {name: values[position] for name, values in fields.items()})
            self._judge_physics(rows, fields)
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
        self.residuals = Residuals(
            tuple(self._residuals),
            tuple(self._residuals.values()),
            self._anew,
            tuple(self._doubted),
            self._reason,
        )
        if found := self.residuals.suspicious:
            sentence = f"{_FACTOR:g} times that of a sample solved anew ({self._anew:.1e}) or more"
            self.warnings.append(Finding("residual", sentence, "", found))

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

    def _judge_physics(self, rows: list[int], fields: Mapping[str, np.ndarray]) -> None:
        records = self._header.records
        # Damaged samples are told already; what an equation makes of them is no news.
        used = [
            k
            for k, row in enumerate(rows)
            if records.status[row] == schema.WRITTEN
            and all(np.isfinite(values[k]).all() for values in fields.values())
        ]
        if not used:
            return
        rows = [rows[k] for k in used]
        seen = self._seen(rows, {name: values[used] for name, values in fields.items()})
        grid = self._header.spec.grid
        if self._physics.check is not None:
            for name, suspicious, sentence in self._physics.check(seen, grid):
                found = [rows[k] for k in torch.nonzero(suspicious)[:, 0].tolist()]
                if found:
                    self._suspicious.setdefault((name, sentence), []).extend(found)
        if self._physics.residual is not None and not self._reason:
            try:
                self._measure(rows, seen, grid)
            except ValueError as error:
                # The equation says of what it cannot measure why.
                self._reason = str(error)

    def _measure(self, rows: list[int], seen: Fields, grid: Grid) -> None:
        physics = self._physics
        assert physics.residual is not None
        values = physics.residual(seen, grid).double()
        self._residuals |= dict(zip(rows, values.tolist(), strict=True))
        if physics.anew is None:
            return
        if self._anew is None:
            self._anew = float(physics.anew(_chosen(seen, [0]), grid)[0])
        doubted = torch.nonzero(~(values <= _FACTOR * max(self._anew, _FLOOR)))[:, 0].tolist()
        again = doubted[: _SECOND_LOOKS - self._looked]
        if again:
            self._looked += len(again)
            limits = _FACTOR * physics.anew(_chosen(seen, again), grid).clamp(min=_FLOOR)
            cleared = torch.tensor(again)[values[again] <= limits].tolist()
            doubted = [k for k in doubted if k not in cleared]
        self._doubted += [rows[k] for k in doubted]

    def _seen(self, rows: list[int], fields: Mapping[str, np.ndarray]) -> Fields:
        """Fields and parameters of some samples as an equation takes them."""
        spec, header, seen = self._header.spec, self._header, {}
        for one in spec.fields:
            if one.sample_varying:
                values = fields[one.name]
            else:
                stored = header.fixed[schema.location(one)]
                values = np.repeat(stored[None], len(rows), 0)
            # An equation that evolves says when it is recorded, and expects the axis of time.
            evolves = len(spec.times) > 1 or "times" in spec.equation_parameters
            steady = one.time_varying and not evolves
            seen[one.name] = torch.from_numpy(values[:, 0] if steady else values)
        for column, name in enumerate(spec.parameters):
            seen[name] = torch.from_numpy(header.records.parameters[rows, column])
        return seen

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
