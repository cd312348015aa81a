"""The row of another verb: `pdesolve VERB ...` in the row's folder, and the figures it wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Run the verb and return its `metrics.json`.

    Raises:
        ArithmeticError, ValueError: the verb failed; its own words stand above in the output.
    """
    del seed
    import time

    from ..main import main

    run = folder / "run"
    started = time.process_time()
    code = main([task["verb"], *task["overrides"], f"hydra.run.dir={run}"])
    spent = time.process_time() - started
    if code:
        raise SystemExit(code)
    found = json.loads((run / "metrics.json").read_text())
    return {"figures": found | {"processor_seconds": spent}, "data": {}}
