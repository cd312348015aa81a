"""A row in a process of its own: its crash is its own, and so is its memory."""

import json
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..application import write_text
from ..failures import Stopped
from .rows import Row
from .worker import do

# What nearly every row imports. Imported once, by the process that all rows are forked from: for
# small models that takes longer than their training.
PRELOADED = [
    "torch._dynamo",
    "torch.utils.tensorboard",
    "neuralop.models",
    "hydra.utils",
    *(f"pdesolve.{room}" for room in ("datasets", "evaluation", "operators", "pde", "training")),
]
# A process is asked whether it has ended so often, in seconds.
_PAUSE = 0.1
# Seconds that an interrupted row has to write its checkpoint.
_PATIENCE = 60
STOPPED = "stopped; the same command goes on where it was"


@runtime_checkable
class Process(Protocol):
    """What is needed of a process, in the words of multiprocessing."""

    @property
    def exitcode(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def outcome_of(row: Row, folder: Path, *, limit: float, stopped: Sequence[int]) -> dict[str, Any]:
    """Do a row and return what came of it: status, reason, figures, machine, times.

    Args:
        row: what to do.
        folder: of the run; a row that was killed goes on there.
        limit: seconds after which the row is ended and counts as failed.
        stopped: signals received so far; once there is one, the row's process is ended.

    Raises:
        Stopped: by a signal while the row ran; it has written its checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "row.json", json.dumps(row.as_json(), indent=1))
    result, log = folder / "result.json", folder / "output.txt"
    result.unlink(missing_ok=True)
    started = time.monotonic()
    process = start(folder, row.threads)
    late = _watched(process, started + limit, stopped)
    if stopped and not result.is_file():
        # The terminal sends ctrl-C to the row's process, too, which may end before it is asked to.
        raise Stopped(stopped[0], STOPPED)
    outcome = {
        "status": "done",
        "reason": "",
        "figures": {},
        "wall_seconds": time.monotonic() - started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if result.is_file():
        return outcome | json.loads(result.read_text())
    reason = f"took longer than {limit:g} s" if late else reason_of(process.exitcode or 0, log)
    return outcome | {"status": "failed", "reason": reason}


def start(folder: Path, threads: int) -> Process:
    """Return the running process of the row of a folder.

    It is forked from a server that has imported PRELOADED and done nothing else, so that every row
    begins in the same state.
    """
    # Read by libraries when the server imports them.
    os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=do, args=(str(folder.resolve()), threads))
    process.start()
    return process


def _watched(process: Process, end: float, stopped: Sequence[int]) -> bool:
    """Wait for a process and return whether it was ended for being late."""
    while process.is_alive():
        if stopped:
            process.terminate()
            process.join(_PATIENCE)
            process.kill()
            process.join()
            raise Stopped(stopped[0], STOPPED)
        if time.monotonic() > end:
            process.kill()
            process.join()
            return True
        process.join(_PAUSE)
    return False


def reason_of(code: int, log: Path) -> str:
    """Return why a process gave no result: the signal that ended it, or its last words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    text = log.read_text(errors="replace") if log.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else f"exit code {code} without a word"
