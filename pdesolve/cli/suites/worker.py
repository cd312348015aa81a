"""The process of one row: `python -m pdesolve.cli.suites.worker FOLDER`.

FOLDER holds row.json; result.json is written there when the row is done, so that its absence tells
of a failure whatever the reason was. The last line of the output is the reason.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..application import write_text
from .code import code_version

# Kind of a row: the module of this room with its `figures(task, seed, folder)`.
WORKERS = {
    "train": "trained",
    "floor": "floor",
    "cost": "costs",
    "verb": "verb",
    "script": "script",
}


def main(folder: Path) -> int:
    """Do the row of a folder and return the exit code."""
    row = json.loads((folder / "row.json").read_text())
    if code_version() != row["code"]:
        print(
            f"the sources are {code_version()} and were {row['code']} when the suite started: give "
            "the same command again"
        )
        return 2
    figures: Callable[[Mapping[str, Any], int, Path], dict[str, Any]]
    figures = import_module(f".{WORKERS[row['kind']]}", __package__).figures
    found = figures(row["task"], row["seed"], folder)
    found["figures"] = {name: finite(value) for name, value in found["figures"].items()}
    told = found | {"machine": machine(), "process_bytes": process_bytes()}
    text = json.dumps(told, indent=1, sort_keys=True, allow_nan=False)
    write_text(folder / "result.json", text)
    return 0


def finite(value: Any) -> Any:
    """Return a figure, or None for a number that JSON has no word for.

    >>> finite(0.5), finite(float("inf")), finite("too coarse")
    (0.5, None, 'too coarse')
    """
    return None if isinstance(value, float) and not math.isfinite(value) else value


def process_bytes() -> int:
    """Return the largest resident memory that this process had, libraries and data included."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak if sys.platform == "darwin" else 1024 * peak


def machine() -> dict[str, str]:
    """Return what a time depends on beside the code."""
    import os

    from ...evaluation.report import environment

    return {**environment(), "processors": str(os.cpu_count())}


if __name__ == "__main__":
    from ..failures import Stopped, exit_code_of
    from ..main import said

    try:
        sys.exit(main(Path(sys.argv[1])))
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        print(said(error).replace("\n", " "))
        sys.exit(143 if isinstance(error, Stopped) else code)
