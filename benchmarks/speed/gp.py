"""Time `gp.solve` on 400 x 400 nodes against one Adam step of GP-HM.

    OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/gp.py

Poisson, u = sin 100x sin 100y on [0, 2π]², float64. Ours is everything: spectrum, candidates, check
between the nodes, and the prediction on 300 x 300 points. The published algorithm needs 1e5 to 3e6
steps; here one of its steps (Gaussian mixture, Q = 30, F = 20) is timed three ways: in our words as
published (kernels differentiated by nested automatic differentiation at all pairs of points), in
our words with closed forms on n distances, and as the authors' script, compiled by jax, where
FOLDER/gp-hm holds xuangu-fang/Gaussian-Process-Slover-for-High-Freq-PDE and jax and optax can be
imported. All run in turn within a round, so that other load on the machine meets all. Times are
processor times of the process, all of its threads; ratios of elapsed time stand beside them.
"""

import argparse
import importlib
import json
import math
import os
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

# Before jax loads: one thread for it too.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import pdesolve
from pdesolve import Grid
from pdesolve.gp import hm
from pdesolve.gp.solve import solve

RESULT = Path(__file__).parents[1] / "results" / "gp_speed.json"
FREQUENCY, LENGTH, COMPONENTS, TOP, TEST_POINTS = 100.0, 2 * math.pi, 30, 20.0, 300
# Runs of a fraction of a second count by the median of several.
REPEATS = {"ours": 3, "closed_form": 3}


def laplacian(d, u, *, source) -> Tensor:
    return d(u, (2, 0)) + d(u, (0, 2)) - d(source, (0, 0))


def exact(x: Tensor, y: Tensor) -> Tensor:
    return torch.sin(FREQUENCY * x) * torch.sin(FREQUENCY * y)


def source(x: Tensor, y: Tensor) -> Tensor:
    return -2 * FREQUENCY**2 * exact(x, y)


def ours(grid: Grid) -> Callable[[], float]:
    x = torch.linspace(0, LENGTH, TEST_POINTS, dtype=torch.float64)
    truth = exact(x[:, None], x)

    def run() -> float:
        prediction = solve(laplacian, grid, source=source).at([x, x])
        return float((prediction - truth).norm() / truth.norm())

    return run


def published(grid: Grid, assembly: hm.Assembly) -> Callable[[], float]:
    x, y = grid.coordinates()
    u = exact(x, y)
    faces = {(0, "low"): u[0], (0, "high"): u[-1], (1, "low"): u[:, 0], (1, "high"): u[:, -1]}
    settings = hm.Published(
        kernel="gaussian", components=COMPONENTS, top_frequency=TOP, assembly=assembly
    )
    model = hm.GPHM(
        laplacian, grid, faces=faces, fields={"source": source(x, y)}, settings=settings
    )
    return lambda: hm.fit(model, 1)[0]


def authors(grid: Grid) -> Callable[[], float] | str:
    """Return one step of the authors' script, or why there is none."""
    folder = os.environ.get("PDESOLVE_PEERS")
    if not folder or not (Path(folder) / "gp-hm" / "code").is_dir():
        return "PDESOLVE_PEERS names no folder with gp-hm"
    sys.path.insert(0, str(Path(folder) / "gp-hm" / "code"))
    try:
        import jax
    except ImportError as error:
        return str(error)
    # The import that newer versions of jax lack, and libraries for pictures and command lines.
    stubs = {name: types.ModuleType(name) for name in ("utils", "fire", "pandas", "tqdm")}
    stubs["jax.config"] = types.ModuleType("jax.config")
    stubs["jax.config"].config = jax.config  # pyright: ignore
    absent = {name: stub for name, stub in stubs.items() if name not in sys.modules}
    sys.modules.update(absent)
    try:
        module = importlib.import_module("model_GP_solver_2d")
        kernels = importlib.import_module("kernel_matrix")
    except ImportError as error:
        return str(error)
    finally:
        for name in absent:
            del sys.modules[name]
    return _authors_step(module, kernels, jax, grid)


def _authors_step(module, kernels, jax, grid: Grid) -> Callable[[], float]:
    import numpy as np

    x, y = (grid.axis(j).numpy() for j in range(2))
    u = exact(*grid.coordinates()).numpy()
    edges = np.hstack((u[0], u[-1], u[:, 0], u[:, -1]))
    options = {"lr": 0.01, "llk_weight": 200, "equation": "poisson_2d-sin_sin", "logdet": True}
    options["kernel"] = kernels.SE_Cos_1d
    f = source(*grid.coordinates()).numpy()
    solver = module.GP_solver_2d_single(edges, (x, y), f, 1e-6, (x, y), u, trick_paras=options)
    kernel = {
        "log-w": np.full(COMPONENTS, -math.log(COMPONENTS)),
        "log-ls": np.zeros(COMPONENTS),
        "freq": np.linspace(0, 1, COMPONENTS) * TOP,
    }
    state = {"log_tau": 0.0, "log_v": 0.0, "U": np.zeros(grid.shape)}
    state |= {"kernel_paras_1": kernel, "kernel_paras_2": dict(kernel)}
    held = [state, solver.optimizer.init(state)]
    key = jax.random.PRNGKey(0)

    def run() -> float:
        held[0], held[1], loss = solver.step(*held, key)
        return float(jax.block_until_ready(loss))

    return run


def timed(function: Callable[[], float], repeats: int) -> dict[str, float]:
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        value = function()
        runs.append((time.process_time() - cpu, time.perf_counter() - wall, value))
    cpu, wall, value = (statistics.median(figures) for figures in zip(*runs, strict=True))
    return {"cpu": cpu, "wall": wall, "value": value}


def ratios(rounds: list[dict], name: str, clock: str) -> list[float]:
    return [row["ours"][clock] / row[name][clock] for row in rounds]


def summary(rounds: list[dict], name: str) -> dict[str, object]:
    values = ratios(rounds, name, "cpu")
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "solve_over_step_median": statistics.median(values),
        "solve_over_step_quartiles": [quartiles[0], quartiles[2]],
        "solve_over_step_range": [min(values), max(values)],
        "solve_over_step_wall_median": statistics.median(ratios(rounds, name, "wall")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=400, help="nodes a side, walls included")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    grid = Grid((arguments.nodes,) * 2, LENGTH, False)
    sides: dict[str, Callable[[], float]] = {
        "ours": ours(grid),
        "closed_form": published(grid, "toeplitz"),
        "as_published": published(grid, "pairwise"),
    }
    peer = authors(grid)
    if isinstance(peer, str):
        console.print(f"the authors' script is left out: {peer}")
    else:
        sides["authors"] = peer
    for name, run in sides.items():
        # Libraries load on first use; jax compiles anew while the types of its arguments settle.
        for _ in range(4 if name == "authors" else 1):
            run()
    rounds = [
        {name: timed(run, REPEATS.get(name, 1)) for name, run in sides.items()}
        for _ in range(arguments.rounds)
    ]
    results = {name: summary(rounds, name) for name in sides if name != "ours"}
    record = {
        "what": "processor seconds of one blind solve and prediction / those of one Adam step",
        "command": "OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/gp.py "
        f"--nodes {arguments.nodes} --rounds {arguments.rounds}",
        "problem": {"grid": grid.as_dict(), "solution": "sin(100 x) sin(100 y)"},
        "relative_error_max": max(row["ours"]["value"] for row in rounds),
        "threads": 1,
        "authors": peer if isinstance(peer, str) else "6b978f1 with jax",
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "jax": getattr(sys.modules.get("jax"), "__version__", None),
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "results": results,
        "rounds": rounds,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("one step", "solve / step", "quartiles", "elapsed")
    for name, row in results.items():
        low, high = row["solve_over_step_quartiles"]  # pyright: ignore
        table.add_row(
            name, f"{row['solve_over_step_median']:.4f}", f"{low:.4f} to {high:.4f}",
            f"{row['solve_over_step_wall_median']:.4f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"largest relative error of the solve {record['relative_error_max']:.1e}")


if __name__ == "__main__":
    main()
