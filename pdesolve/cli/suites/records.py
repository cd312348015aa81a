"""What is kept of each row: one JSON file a row and identity; an older one stays beside it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..application import write_text
from ..failures import UsageError
from .rows import Row, seen


@dataclass(frozen=True)
class Records:
    """The records of one suite at one size, files of a folder.

    Args:
        folder: benchmarks/results/SUITE/SIZE.
    """

    folder: Path

    def path(self, row: Row) -> Path:
        """Return where the record of a row lies: its name and the first digits of its key."""
        return self.folder / f"{row.name}.{row.key[:8]}.json"

    def finished(self, row: Row) -> bool:
        """Return whether the row was done: the same task, data and code."""
        record = self._read(self.path(row))
        return record is not None and record["key"] == row.key and record["status"] == "done"

    def write(self, row: Row, outcome: Mapping[str, Any]) -> None:
        """Keep what came of a row; only a record of the same identity is replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = row.as_json() | dict(outcome)
        text = json.dumps(told, indent=1, sort_keys=True, allow_nan=False)
        write_text(self.path(row), text + "\n")

    def of(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the newest record of each of these rows that has one, in their order."""
        latest = self._newest()
        return [latest[row.name] for row in rows if row.name in latest]

    def told(self, models: Sequence[str], data_hash: str = "") -> list[dict[str, Any]]:
        """Return the newest record of each row of these models, in their order.

        A table is of one set of data, and a line of it of one task: seeds of an older task, such
        as another learning rate, are left out. Records may be of several versions of the code,
        which the table then names.

        Args:
            models: whose.
            data_hash: of the suite's data; "", where they are not at hand, is that of the newest.
        """
        latest = [one for one in self._newest().values() if one["model"] in models]
        hashes = [data_hash, *(one["data_hash"] for one in reversed(latest))]
        data = next(filter(None, hashes), "")
        latest = [one for one in latest if one["data_hash"] in ("", data)]
        tasks = {(one["model"], one["variant"]): seen(one["task"]) for one in latest}
        kept = [one for one in latest if seen(one["task"]) == tasks[one["model"], one["variant"]]]
        return sorted(kept, key=lambda one: (models.index(one["model"]), one["seed"]))

    def _newest(self) -> dict[str, dict[str, Any]]:
        """Return the newest record of each row by the row's name, the oldest of them first."""
        latest: dict[str, dict[str, Any]] = {}
        for record in sorted(self._all(), key=lambda one: one["finished"]):
            name = f"{record['model']}.{record['variant']}.{record['seed']}"
            latest.pop(name, None)
            latest[name] = record
        return latest

    def _all(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob("*.json")):
            record = self._read(path)
            if record is not None:
                yield record

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        try:
            record = json.loads(path.read_text())
        except ValueError as error:
            raise UsageError(f"{path} is no record: {error}; move it away") from error
        if not isinstance(record, dict) or not {"key", "status", "finished"} <= record.keys():
            raise UsageError(f"{path} is no record of a row: move it away")
        return record
