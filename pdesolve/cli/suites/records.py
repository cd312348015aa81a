"""What is kept of each row: one JSON file a row and identity; an older one stays beside it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..application import write_text
from .rows import Row


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

    def newest(self) -> list[dict[str, Any]]:
        """Return the newest record of each row, whatever code made it."""
        latest: dict[str, dict[str, Any]] = {}
        for record in sorted(self._all(), key=lambda one: one["finished"]):
            latest[f"{record['model']}.{record['variant']}.{record['seed']}"] = record
        return list(latest.values())

    def of(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the newest record of each of these rows that has one, in their order."""
        latest = {(r["model"], r["variant"], r["seed"]): r for r in self.newest()}
        wanted = ((row.model, row.variant, row.seed) for row in rows)
        return [latest[name] for name in wanted if name in latest]

    def _all(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob("*.json")):
            record = self._read(path)
            if record is not None:
                yield record

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        return json.loads(path.read_text()) if path.is_file() else None
