"""A row in a process of its own: its crash is its own, and so is its peak of memory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..application import write_text
from ..failures import Stopped
from .code import PACKAGE
from .rows import Row

# A process is asked whether it has ended so often, in seconds.
_PAUSE = 0.1
# Seconds that an interrupted row has to write its checkpoint.
_PATIENCE = 60


def outcome_of(row: Row, folder: Path, *, limit: float, stopped: Sequence[int]) -> dict[str, Any]:
    """Do a row and return what came of it: status, reason, figures, machine, times.

    Args:
        row: what to do.
        folder: of the run; a row that was killed goes on there.
        limit: seconds after which the row is ended and counts as failed.
        stopped: signals received so far; once there is one, so is the row's process sent it.

    Raises:
        Stopped: by a signal while the row ran; it has written its checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "row.json", json.dumps(row.as_json(), indent=1))
    result, log = folder / "result.json", folder / "output.txt"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pdesolve.cli.suites.worker", str(folder)]
    started = time.monotonic()
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=_environment(row.threads)
        )
        late = _watched(process, started + limit, stopped)
    outcome = {
        "status": "done",
        "reason": "",
        "figures": {},
        "wall_seconds": time.monotonic() - started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if result.is_file():
        return outcome | json.loads(result.read_text())
    reason = f"took longer than {limit:g} s" if late else reason_of(process.returncode, log)
    return outcome | {"status": "failed", "reason": reason}


def _watched(process: subprocess.Popen[bytes], end: float, stopped: Sequence[int]) -> bool:
    """Wait for a process and return whether it was ended for being late."""
    while process.poll() is None:
        if stopped:
            # From a terminal the process has had the signal; a second SIGTERM does no harm.
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise Stopped(stopped[0], "stopped; the same command goes on where it was")
        if time.monotonic() > end:
            process.kill()
            process.wait()
            return True
        time.sleep(_PAUSE)
    return False


def reason_of(code: int, log: Path) -> str:
    """Return why a process gave no result: the signal that ended it, or its last words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:500] if lines else f"exit code {code} without a word"


def _environment(threads: int) -> dict[str, str]:
    # The process imports this very package, wherever it lies, whatever is installed.
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(paths),
    }
