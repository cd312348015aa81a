"""Time `NavierStokes2d` against the FNO authors' solver and against torch-cfd.

    OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/navier_stokes.py

256 x 256 points, viscosity 1e-5, float64, one thread: the first unit of time from a random field,
and windows of half a unit late in the forced flow, from our own states. The authors' scheme (Euler
and Crank-Nicolson, step 1e-4) runs twice: as their script where FOLDER/fno holds the history of
neuraloperator/neuraloperator at 892e187c, and in our own words with real transforms and every
constant made once. Both run in turn with ours within a round, so that other load on the machine
meets all: only ratios are kept. Times are processor times of the thread, since a shared machine
takes its turns; ratios of elapsed time stand beside them. The authors' 10 000 steps are timed as
some hundred per round and multiplied up; their error is that of the whole run.
"""

import argparse
import ast
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor

import pdesolve
from pdesolve import Grid
from pdesolve.ops import fourier
from pdesolve.pde import NavierStokes2d

RESULT = Path(__file__).parents[1] / "results" / "navier_stokes_speed.json"
POINTS, VISCOSITY, PEER_STEP = 256, 1e-5, 1e-4
GRID = Grid((POINTS, POINTS), 1.0, True)
LATE = (20.0, 35.0, 50.0)
# The default, and the larger steps of which late in the run the error is still below the peer's.
COURANTS = (1.4, 2.0)
Peer = Callable[[Tensor, int], Tensor]


def scheme_in_our_words(w: Tensor, steps: int) -> Tensor:
    """Return vorticity (n, m) after Euler steps with Crank-Nicolson diffusion, five transforms."""
    kx, ky = fourier.wavenumbers(GRID.shape, GRID.lengths, dtype=w.dtype)
    squared = kx**2 + ky**2
    inverse = torch.where(squared > 0, 1 / squared, 0)
    limit = 2 * math.pi * POINTS / 3
    kept = (kx.abs() <= limit) & (ky.abs() <= limit)
    to_u, to_v = 1j * ky * inverse, -1j * kx * inverse
    to_x, to_y = (1j * k.expand_as(squared) for k in (kx, ky))
    z = 0.5 * PEER_STEP * VISCOSITY * squared
    explicit = ((1 - z) / (1 + z)).to(to_x.dtype)
    implicit = PEER_STEP / (1 + z)
    advect = (-implicit * kept).to(to_x.dtype)
    force = implicit * torch.fft.rfft2(NavierStokes2d().forcing_field(GRID))
    spectrum = torch.fft.rfft2(w)
    for _ in range(steps):
        u, v, x, y = (torch.fft.irfft2(k * spectrum) for k in (to_u, to_v, to_x, to_y))
        product = torch.fft.rfft2(u.mul_(x).addcmul_(v, y))
        spectrum = torch.addcmul(force, explicit, spectrum).addcmul_(advect, product)
    return torch.fft.irfft2(spectrum)


def authors_script(folder: Path | None) -> Peer | str:
    """Return the solver function of the authors' script, or why it is not there."""
    if folder is None:
        return "PDESOLVE_PEERS is not set"
    path = folder / "fno" / "data_generation" / "navier_stokes" / "ns_2d.py"
    if not path.is_file():
        return f"no {path.relative_to(folder)} in PDESOLVE_PEERS"
    # Only the function: the rest of the script generates data on a GPU when it is imported.
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    names: dict = {"torch": torch, "math": math}
    exec(compile(tree, str(path), "exec"), names)
    force = NavierStokes2d().forcing_field(GRID)

    def peer(w: Tensor, steps: int) -> Tensor:
        # Half a step short of the time, which its ceiling rounds up to the number of steps.
        end = (steps - 0.5) * PEER_STEP
        solution, _ = names["navier_stokes_2d"](w[None], force, VISCOSITY, end, PEER_STEP, 1)
        return solution[0, ..., 0].double()

    return peer


def torch_cfd_step(folder: Path | None, points: int) -> Callable[[Tensor], Tensor] | str:
    """Return one low-storage RK4-CN step of torch-cfd on spectra in float64, or why not."""
    if folder is None or not (folder / "torch-cfd").is_dir():
        return "no torch-cfd in PDESOLVE_PEERS"
    sys.path.insert(0, str(folder / "torch-cfd"))
    try:
        from torch_cfd.equations import NavierStokes2DSpectral, RK4CrankNicolsonStepper
        from torch_cfd.forcings import SinCosForcing
        from torch_cfd.grids import Grid as PeerGrid
    except ImportError as error:
        return f"torch-cfd cannot be imported: {error}"
    grid = PeerGrid(shape=(points, points), domain=((0, 1), (0, 1)))
    force = SinCosForcing(grid=grid, scale=0.1, diam=1.0, k=1, vorticity=True)
    flow = NavierStokes2DSpectral(
        viscosity=VISCOSITY, grid=grid, forcing_fn=force, solver=RK4CrankNicolsonStepper()
    ).double()
    return lambda spectrum: flow.step(spectrum, 2e-3)[0]


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return processor seconds of this thread and elapsed seconds."""
    elapsed, processor = time.perf_counter(), time.thread_time()
    function()
    return time.thread_time() - processor, time.perf_counter() - elapsed


def spread(ratios: list[float]) -> dict[str, object]:
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": median, "quartiles": [lower, upper], "range": [min(ratios), max(ratios)]}


def relative(found: Tensor, truth: Tensor) -> float:
    return float(torch.linalg.vector_norm(found - truth) / torch.linalg.vector_norm(truth))


def ours(w: Tensor, duration: float, **choices) -> Tensor:
    flow = NavierStokes2d(viscosity=VISCOSITY, times=(duration,))
    return flow.solve(initial=w[None], grid=GRID, **choices).value[0, 0, 0]


def race(name: str, w: Tensor, duration: float, peers: dict, rounds: int, peer_steps: int) -> dict:
    """Return errors and ratios of one stretch of time."""
    truth = ours(w, duration, courant=0.35)
    row: dict = {
        "stretch": name,
        "duration": duration,
        "our_error": {f"{c:g}": relative(ours(w, duration, courant=c), truth) for c in COURANTS},
        "truth_against_etdrk4_at_the_same_step": relative(
            ours(w, duration, courant=0.35, scheme="etdrk4"), truth
        ),
        "peers": {},
    }
    for peer_name, peer in peers.items():
        if isinstance(peer, str):
            row["peers"][peer_name] = {"skipped": peer}
            continue
        found = [one_round(w, duration, peer, peer_steps) for _ in range(rounds)]
        row["peers"][peer_name] = {
            "peer_error": relative(peer(w, round(duration / PEER_STEP)), truth),
            "times_faster": {f"{c:g}": spread([r[c][0] for r in found]) for c in COURANTS},
            "times_faster_elapsed": {f"{c:g}": spread([r[c][1] for r in found]) for c in COURANTS},
        }
    return row


def one_round(
    w: Tensor, duration: float, peer: Peer, peer_steps: int
) -> dict[float, tuple[float, float]]:
    """Return ratios of processor and of elapsed time for each of our courant numbers."""
    mine = {c: timed(lambda c=c: ours(w, duration, courant=c)) for c in COURANTS}
    # The cost before the first step is taken off: a long run hardly sees it.
    many, one = timed(lambda: peer(w, peer_steps + 1)), timed(lambda: peer(w, 1))
    share = peer_steps * PEER_STEP / duration
    return {
        c: ((many[0] - one[0]) / share / cpu, (many[1] - one[1]) / share / elapsed)
        for c, (cpu, elapsed) in mine.items()
    }


def one_step(folder: Path | None, points: int, samples: int, rounds: int) -> dict:
    """Return how many of our steps fit into one of torch-cfd's, same grid and batch."""
    row: dict = {"points": points, "samples": samples}
    peer = torch_cfd_step(folder, points)
    if isinstance(peer, str):
        return row | {"skipped": peer}
    grid = Grid((points, points), 1.0, True)
    flow = NavierStokes2d(viscosity=VISCOSITY)
    generators = [torch.Generator().manual_seed(seed) for seed in range(samples)]
    w = fourier.truncate(flow.random_inputs(grid, generators)["initial"], (points // 3 * 2,) * 2)
    count = 10
    spectrum = torch.fft.rfft2(w)

    def march_peer() -> Tensor:
        z = spectrum
        for _ in range(count):
            z = peer(z)
        return torch.fft.irfft2(z)

    def march() -> Tensor:
        return flow.step(w, count * 2e-3, count, grid=grid)

    row["difference"] = relative(march(), march_peer())
    pairs = [(timed(march_peer), timed(march)) for _ in range(rounds)]
    return row | {
        "times_faster": spread([p[0] / o[0] for p, o in pairs]),
        "times_faster_elapsed": spread([p[1] / o[1] for p, o in pairs]),
    }


def late_states(path: Path | None, start: Tensor) -> dict[str, Tensor]:
    """Return our own states at the late times, from a file of an earlier run if there is one."""
    if path is not None and path.is_file():
        return load_file(path)
    flow = NavierStokes2d(viscosity=VISCOSITY, times=LATE)
    value = flow.solve(initial=start[None], grid=GRID).value[0, 0]
    states = {f"{time:g}": value[i].contiguous() for i, time in enumerate(LATE)}
    if path is not None:
        save_file(states, path)
    return states


def record_of(arguments: argparse.Namespace, races: list[dict], steps: list[dict]) -> dict:
    return {
        "what": "processor seconds of the peer / processor seconds of NavierStokes2d, one thread",
        "command": "OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python "
        f"benchmarks/speed/navier_stokes.py --rounds {arguments.rounds} "
        f"--peer-steps {arguments.peer_steps}",
        "problem": {"grid": GRID.as_dict(), "viscosity": VISCOSITY, "dtype": "float64",
                    "start": "initial field of 2020, seed 0, cut to the two-thirds band"},
        "ours": "integrating-factor RK4, whole solves, by courant number; 1.4 is the default",
        "peer": "Euler/Crank-Nicolson at step 1e-4; seconds of "
        f"{arguments.peer_steps} measured steps a round, extrapolated to all; error of all steps",
        "late": f"windows of 0.5 from our own states at t = {LATE}, forced from t = 0 on",
        "error": "relative L2 against our integrating-factor RK4 at a quarter of the step",
        "threads": 1,
        "versions": {"pdesolve": pdesolve.__version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "peer_versions": {"authors_script": "neuraloperator/neuraloperator 892e187c",
                          "torch_cfd": "scaomath/torch-cfd 475c738"},
        "machine": platform.machine(),
        "stretches": races,
        "one_step_against_torch_cfd": steps,
    }  # fmt: skip


def show(record: dict) -> None:
    table = Table("stretch", "peer", "courant", "times faster", "quartiles", "our error", "peer's")
    for row in record["stretches"]:
        for name, peer in row["peers"].items():
            if "skipped" in peer:
                table.add_row(row["stretch"], name, "", peer["skipped"])
                continue
            for courant, ratio in peer["times_faster"].items():
                low, high = ratio["quartiles"]
                table.add_row(
                    row["stretch"], name, courant, f"{ratio['median']:.1f}",
                    f"{low:.1f} to {high:.1f}", f"{row['our_error'][courant]:.1e}",
                    f"{peer['peer_error']:.1e}",
                )  # fmt: skip
    for row in record["one_step_against_torch_cfd"]:
        size = f"one step, {row['points']}², {row['samples']} samples"
        if "skipped" in row:
            table.add_row(size, "torch-cfd", "", row["skipped"])
            continue
        low, high = row["times_faster"]["quartiles"]
        table.add_row(
            size,
            "torch-cfd",
            "",
            f"{row['times_faster']['median']:.1f}",
            f"{low:.1f} to {high:.1f}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer-steps", type=int, default=100, help="timed steps a round")
    parser.add_argument("--states", type=Path, help="where late states are kept between runs")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ["PDESOLVE_PEERS"]) if "PDESOLVE_PEERS" in os.environ else None
    peers = {"authors_script": authors_script(folder), "scheme_in_our_words": scheme_in_our_words}
    flow = NavierStokes2d.fno(VISCOSITY)
    start = flow.random_inputs(GRID, [torch.Generator().manual_seed(0)])["initial"][0]
    start = fourier.truncate(start, (2 * (POINTS // 3) + 1,) * 2)
    stretches = [("t = 0 to 1", start, 1.0)]
    for time_, state in late_states(arguments.states, start).items():
        stretches.append((f"t = {time_} to {float(time_) + 0.5:g}", state, 0.5))
    with torch.no_grad():
        races = [race(*s, peers, arguments.rounds, arguments.peer_steps) for s in stretches]
        steps = [
            one_step(folder, points, samples, arguments.rounds)
            for points, samples in ((64, 1), (64, 16), (256, 1), (256, 4))
        ]
    record = record_of(arguments, races, steps)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    show(record)


if __name__ == "__main__":
    main()
