"""Every problem of configs/problem, blind, beside Chebyshev collocation and finite differences.

python benchmarks/accuracy/gp_problems.py [NAME ...]

Error is relative L2 on 300 uniform points an axis (100 in three dimensions). Nothing is chosen by
it. Seconds are processor time of whole solves. Where Chebyshev has the smaller error the row says
so. Writes benchmarks/results/gp_problems.json.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from pdesolve.gp import solve
from pdesolve.gp.classical import Chebyshev, Differences, solve_classical
from pdesolve.gp.manufactured import error
from pdesolve.gp.problem import problem_of

ROOT = Path(__file__).resolve().parents[2]
PROBLEMS = ROOT / "configs" / "problem"


def row(name: str) -> dict:
    given = instantiate(OmegaConf.load(PROBLEMS / f"{name}.yaml"), _convert_="all")
    data = {"source": given.source, "boundary": given.boundary}
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = solve(
            given.residual, given.grid, **data, tolerance=given.tolerance, raise_on_failure=False
        )
    seconds = time.process_time() - started
    chosen = next(line for line in solution.candidates if line["chosen"])
    figures = {
        "problem": name,
        "points": list(given.grid.shape),
        "error": error(solution.at, given.exact, given.grid),
        "residual": float(solution.stats["residual"]),
        "converged": bool(solution.converged),
        "prior": chosen["prior"],
        "functions": chosen["functions"],
        "candidates": len(solution.candidates),
        "seconds": seconds,
        "published": given.reference,
    }
    problem = problem_of(given.residual, given.grid, **data)
    for key, kind in (("chebyshev", Chebyshev), ("differences", Differences)):
        started = time.process_time()
        try:
            figures[key] = error(solve_classical(problem, kind), given.exact, given.grid)
        except (ArithmeticError, RuntimeError):
            figures[key] = float("nan")
        figures[f"{key}_seconds"] = time.process_time() - started
    figures["chebyshev_wins"] = figures["chebyshev"] < figures["error"]
    return figures


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    path = ROOT / "benchmarks" / "results" / "gp_problems.json"
    rows = {r["problem"]: r for r in json.loads(path.read_text())} if path.is_file() else {}
    print("| problem | error | residual | s | published GP-HM | Chebyshev (s) | differences |")
    print("|---|---|---|---|---|---|---|")
    for name in names or sorted(p.stem for p in PROBLEMS.glob("*.yaml")):
        r = rows[name] = row(name)
        published = f"{r['published']:.1e}" if r["published"] else ""
        print(
            f"| {name} | {r['error']:.1e} | {r['residual']:.0e} | {r['seconds']:.1f} | {published} "
            f"| {r['chebyshev']:.0e} ({r['chebyshev_seconds']:.1f})"
            f"{' **wins**' if r['chebyshev_wins'] else ''} | {r['differences']:.0e} |",
            flush=True,
        )
        path.write_text(json.dumps([rows[n] for n in sorted(rows)], indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
