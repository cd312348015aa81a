"""The log of a run: one JSON line per epoch, and the same numbers for TensorBoard."""

import json
import math
import os
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Record:
    """`log.jsonl` and `tensorboard/` in a folder; without a folder the lines are only kept.

    Args:
        folder: where to write, or None.
        position: bytes of log.jsonl that the run already stands for; what lies beyond was logged
            by a process that died before its next checkpoint, and is cut off.
        step: steps already done; TensorBoard drops what it has beyond.
    """

    def __init__(self, folder: Path | None, *, position: int = 0, step: int = 0):
        self.lines: list[Line] = []
        self._file = self._board = None
        if folder is None:
            return
        # Slow to import, and a run without a folder needs no TensorBoard.
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._file = open(folder / "log.jsonl", "a+b")  # noqa: SIM115
        self._file.truncate(position)
        self._file.seek(0)
        self.lines = [json.loads(line) for line in self._file]
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    @property
    def epochs(self) -> list[Line]:
        """The lines that close an epoch."""
        return [line for line in self.lines if "train/loss" in line]

    def write(self, line: Line) -> None:
        """Add a line; numbers that are not finite become null, as JSON has no other word."""
        line = {key: None if _is_broken(value) else value for key, value in line.items()}
        self.lines.append(line)
        if self._file is None or self._board is None:
            return
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        for key, value in line.items():
            if isinstance(value, float):
                self._board.add_scalar(key, value, line["step"])

    def position(self) -> int:
        """Return the length of the log in bytes, all of it safely on the disk."""
        if self._file is None or self._board is None:
            return 0
        self._board.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the files."""
        if self._file is not None and self._board is not None:
            self._file.close()
            self._board.close()


def _is_broken(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
