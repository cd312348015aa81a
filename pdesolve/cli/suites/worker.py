"""What the process of one row does: row.json of a folder becomes its result.json.

The result is written when the row is done, so that its absence tells of a failure whatever the
reason was. All output goes to output.txt, and its last line is the reason.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..application import write_text
from ..failures import Skipped, UsageError, exit_code_of
from ..main import said
from .code import code_of

# Kind of a row: the module of this room with its `figures(task, seed, folder)`.
WORKERS = {
    "train": "trained",
    "floor": "floor",
    "cost": "costs",
    "verb": "verb",
    "script": "script",
}


def do(folder: str, threads: int) -> None:
    """Do the row of a folder and end the process with the exit code that its failure has."""
    with open(Path(folder) / "output.txt", "w", encoding="utf-8") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    import torch

    torch.set_num_threads(threads)
    try:
        main(Path(folder))
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        print(said(error).replace("\n", " "), flush=True)
        sys.exit(code)


def main(folder: Path) -> None:
    """Do the row of a folder.

    Raises:
        UsageError: the row has no config, or the sources changed since it was planned.
    """
    row = json.loads((folder / "row.json").read_text())
    config = row["task"].get("config", {})
    if reason := config.get("broken"):
        raise UsageError(reason)
    code = code_of(row["task"], config.get("allow") or ())
    if code != row["code"]:
        raise UsageError(
            f"the sources are {code} and were {row['code']} when the suite started: give "
            "the same command again"
        )
    figures: Callable[[Mapping[str, Any], int, Path], dict[str, Any]]
    figures = import_module(f".{WORKERS[row['kind']]}", __package__).figures
    try:
        found = figures(row["task"], row["seed"], folder)
    except Skipped as reason:
        found = {"status": "skipped", "reason": str(reason), "figures": {}}
    found["figures"] = {name: finite(value) for name, value in found["figures"].items()}
    told = found | {"machine": machine(), "process_bytes": process_bytes()}
    text = json.dumps(told, indent=1, sort_keys=True, allow_nan=False)
    write_text(folder / "result.json", text)


def finite(value: Any) -> Any:
    """Return a figure, or its name if it is a number that JSON has no word for.

    >>> finite(0.5), finite(float("inf")), finite("too coarse")
    (0.5, 'inf', 'too coarse')
    """
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def process_bytes() -> int:
    """Return the largest resident memory that this process had, libraries and data included."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak if sys.platform == "darwin" else 1024 * peak


def machine() -> dict[str, str]:
    """Return what a time depends on beside the code."""
    from ...evaluation.report import environment

    return {**environment(), "processors": str(os.cpu_count())}
