"""Time `Darcy.solve` against scipy's sparse direct solver on the same systems.

    OMP_NUM_THREADS=1 python benchmarks/speed/darcy.py

One thread, 421 nodes a side, a new random medium each round (phases 12 and 3). The direct solver
is handed the assembled matrix; our time contains everything from coefficient to solution. Both
run in turn within a round, so that other load on the machine meets both: only ratios are kept.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import scipy
import scipy.sparse as sparse
import torch
from rich.console import Console
from rich.table import Table
from scipy.sparse.linalg import spsolve

import pdesolve
from pdesolve import Grid
from pdesolve.pde import Darcy

RESULT = Path(__file__).parents[1] / "results" / "darcy_speed.json"
TOLERANCES = (1e-4, 1e-6, 1e-8)


def assembled(a: np.ndarray, spacing: float) -> sparse.csc_matrix:
    """Return the matrix of the interior nodes: differences, face conductances, their transpose."""
    inside = a.shape[0] - 2
    step = sparse.diags([1.0, -1.0], [0, -1], shape=(inside + 1, inside))
    identity = sparse.identity(inside)

    def harmonic(left: np.ndarray, right: np.ndarray) -> sparse.dia_matrix:
        return sparse.diags((2 * left * right / (left + right)).ravel() / spacing**2)

    dx, dy = sparse.kron(step, identity), sparse.kron(identity, step)
    x_faces = harmonic(a[1:, 1:-1], a[:-1, 1:-1])
    y_faces = harmonic(a[1:-1, 1:], a[1:-1, :-1])
    return (dx.T @ x_faces @ dx + dy.T @ y_faces @ dy).tocsc()


def seconds_of(function, *arguments, **keywords):
    start = time.perf_counter()
    value = function(*arguments, **keywords)
    return time.perf_counter() - start, value


def one_round(law: Darcy, grid: Grid, seed: int) -> dict:
    a = law.random_inputs(grid, [torch.Generator().manual_seed(seed)])["coefficient"]
    matrix = assembled(a[0].numpy(), grid.spacing[0])
    direct_seconds, direct = seconds_of(spsolve, matrix, np.ones(matrix.shape[0]))
    row = {"seed": seed, "direct_seconds": direct_seconds}
    for tolerance in TOLERANCES:
        seconds, solution = seconds_of(law.solve, coefficient=a, grid=grid, tolerance=tolerance)
        ours = solution.value[0, 0, 1:-1, 1:-1].numpy().ravel()
        row[f"{tolerance:.0e}"] = {
            "seconds": seconds,
            "ratio": direct_seconds / seconds,
            "relative_error": float(np.linalg.norm(ours - direct) / np.linalg.norm(direct)),
            "iterations": int(solution.stats["iterations"]),
        }
    return row


def summary(rounds: list[dict], tolerance: str) -> dict:
    ratios = [row[tolerance]["ratio"] for row in rounds]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "ratio_median": median,
        "ratio_quartiles": [lower, upper],
        "ratio_range": [min(ratios), max(ratios)],
        "relative_error_max": max(row[tolerance]["relative_error"] for row in rounds),
        "iterations_max": max(row[tolerance]["iterations"] for row in rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=421, help="nodes a side, walls included")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    law, grid = Darcy.fno(), Grid((arguments.nodes, arguments.nodes), 1.0, False)
    one_round(law, grid, seed=0)  # Warm-up: libraries load and plan on first use.
    rounds = [one_round(law, grid, seed) for seed in range(1, arguments.rounds + 1)]
    results = {f"{t:.0e}": summary(rounds, f"{t:.0e}") for t in TOLERANCES}
    record = {
        "what": "seconds of scipy.sparse.linalg.spsolve (SuperLU, COLAMD) / seconds of Darcy.solve",
        "command": f"OMP_NUM_THREADS=1 python benchmarks/speed/darcy.py --nodes {arguments.nodes} "
        f"--rounds {arguments.rounds}",
        "problem": {"grid": grid.as_dict(), "law": "fno: 12 and 3", "source": law.source},
        "ours": "float64 residuals, float32 iterations; keys of results are the tolerances",
        "threads": 1,
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "scipy": scipy.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "results": results,
        "rounds": rounds,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("tolerance", "times faster", "quartiles", "largest relative error", "iterations")
    for tolerance, row in results.items():
        low, high = row["ratio_quartiles"]
        table.add_row(
            tolerance, f"{row['ratio_median']:.1f}", f"{low:.1f} to {high:.1f}",
            f"{row['relative_error_max']:.1e}", str(row["iterations_max"]),
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
