"""The row of another verb: `pdesolve VERB ...` in the row's folder, and the figures it wrote."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from .code import code_version


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Run the verb and return its `metrics.json`.

    With `task["train"]` the verb gets `run=` the folder of a model that is trained so, once for
    all rows that ask for the same.

    A verb that fails ends the process with its exit code; its words are the last of the output.
    """
    del seed
    given = list(task["overrides"])
    if "train" in task:
        given.append(f"run={_trained(task['train'], folder)}")
    started = time.process_time()
    run = folder / "run"
    _succeed([task["verb"], *given, f"hydra.run.dir={run}"])
    spent = time.process_time() - started
    found = json.loads((run / "metrics.json").read_text())
    return {"figures": found | {"processor_seconds": spent}, "data": {}}


def _trained(overrides: Sequence[str], folder: Path) -> Path:
    """Return the folder of the trained model, beside those of the rows."""
    name = sha256(json.dumps([code_version(), *overrides]).encode()).hexdigest()[:16]
    shared = folder.parents[1] / "trained" / name
    if not (shared / "metrics.json").is_file():
        own = folder / "trained"
        _succeed(["train", *overrides, f"hydra.run.dir={own}"])
        shared.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(own, shared)
        except OSError:
            return own  # Another row was quicker.
    return shared


def _succeed(arguments: list[str]) -> None:
    from ..main import main

    code = main(arguments)
    if code:
        sys.exit(code)
