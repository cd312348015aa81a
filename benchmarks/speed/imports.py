"""What `import pdesolve` costs beside `import torch`: CPU seconds of whole processes, interleaved.

python benchmarks/speed/imports.py
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles

ROUNDS = 9
BOUND = 1.15
RESULT = Path(__file__).parents[1] / "results" / "imports.json"
STATEMENTS = {
    "torch": "import torch",
    "pdesolve": "import torch, pdesolve; pdesolve.Grid, pdesolve.Batch, pdesolve.Solution",
    "operators": "from pdesolve.operators import TFNO",
    "training": "from pdesolve.training import fit",
}


def cpu_seconds(statement: str) -> float:
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return spent() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    count = arguments.rounds
    for statement in STATEMENTS.values():
        cpu_seconds(statement)  # warm file caches
    rounds = [{name: cpu_seconds(s) for name, s in STATEMENTS.items()} for _ in range(count)]
    rows = {}
    for name in list(STATEMENTS)[1:]:
        ratios = [one[name] / one["torch"] for one in rounds]
        low, _, high = quantiles(ratios, n=4)
        rows[name] = {"ratio": median(ratios), "quartiles": [low, high]}
        print(f"{name:<10} {median(ratios):.3f} times import torch ({low:.3f} to {high:.3f})")
    versions = {"python": sys.version.split()[0]}
    what = "CPU seconds of a process with the statement / those of one with `import torch`"
    about = {"what": what, "rounds": count, "bound": BOUND, "statements": STATEMENTS}
    result = {**about, "rows": rows, **versions}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
