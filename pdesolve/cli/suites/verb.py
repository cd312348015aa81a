"""The row of another verb: `pdesolve VERB ...` in the row's folder, and the figures it wrote."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Run the verb and return its `metrics.json`.

    A verb that fails ends the process with its exit code; its words are the last of the output.
    """
    del seed
    from ..main import main

    run = folder / "run"
    started = time.process_time()
    code = main([task["verb"], *task["overrides"], f"hydra.run.dir={run}"])
    spent = time.process_time() - started
    if code:
        raise SystemExit(code)
    found = json.loads((run / "metrics.json").read_text())
    return {"figures": found | {"processor_seconds": spent}, "data": {}}
