"""The row of a script of benchmarks/speed: run as it is, and the ratios that it wrote."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Names under which the scripts keep a ratio, each with its quartiles beside it.
MEDIANS = {"median": "quartiles", "ratio": "quartiles"}


def figures(task: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
    """Run a script, whose result goes to the row's folder, and return its ratios.

    The figures are `PLACE` and `PLACE/low`, `PLACE/high`: median and quartiles at each place of the
    result that has them. What is compared, in which direction, is in `what`.

    Raises:
        UsageError: the script is not there.
        ArithmeticError: it failed; in its own words.
        Skipped: it found no peer to compare with.
    """
    del seed
    from ..failures import Skipped, UsageError

    script = Path("benchmarks") / task["script"]
    if not script.is_file():
        raise UsageError(f"{script} is not there: run the suite in a checkout of the repository")
    out = folder / "ratios.json"
    command = [sys.executable, str(script), *task["arguments"], "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    words = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    last = words[-1] if words else f"{script} said nothing"
    if done.returncode:
        raise ArithmeticError(last)
    if not out.is_file():
        raise Skipped(last)
    result = json.loads(out.read_text())
    found = dict(ratios(result))
    if not found:
        raise Skipped(next(reasons(result), f"{script} compared nothing"))
    return {"figures": found | {"what": result.get("what", "")}, "data": {}}


def reasons(result: Any) -> Iterator[str]:
    """Yield why parts of a script's result were skipped, at any depth."""
    parts = result.values() if isinstance(result, Mapping) else result
    if isinstance(result, Mapping) and isinstance(result.get("skipped"), str):
        yield result["skipped"]
    if isinstance(result, Mapping | list):
        for part in parts:
            yield from reasons(part)


def ratios(result: Any, place: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    """Yield the ratios of a script's result, at any depth, by their place.

    >>> dict(ratios({"rows": {"torch": {"ratio": 1.1, "quartiles": [1.0, 1.2]}}}))
    {'rows torch': 1.1, 'rows torch/low': 1.0, 'rows torch/high': 1.2}
    """
    if isinstance(result, list):
        for number, one in enumerate(result):
            yield from ratios(one, (*place, str(number)))
    if not isinstance(result, Mapping):
        return
    for name, value in result.items():
        stem = name.removesuffix("median").rstrip("_")
        quartiles = result.get(MEDIANS.get(name, f"{stem}_quartiles"))
        if (
            isinstance(value, float)
            and isinstance(quartiles, list)
            and (name != stem or name in MEDIANS)
        ):
            where = " ".join([*place, *([stem] if name not in MEDIANS and stem else [])])
            yield where, value
            yield f"{where}/low", quartiles[0]
            yield f"{where}/high", quartiles[-1]
        yield from ratios(value, (*place, name))
