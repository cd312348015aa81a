"""Measure what refinement promises: error bars, sweeps, tuning, on spatiotemporal operators.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/refinement.py

Three operators learn forced flow on 32 x 32 points (two seeds, eight epochs; one of them also 33),
another one decaying turbulence. Their predictions of test trajectories, and of the validation ones
where more are wanted, are then judged and corrected by the equation alone; truth is looked at only
to measure. Each row of the table has a bound that was set before; a row that misses it says so.
A run that was stopped goes on; trained operators and measured rows are not made again.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve import pde
from pdesolve.datasets import Window, open_dataset
from pdesolve.layers.correction import SpectralCorrection, corrected
from pdesolve.ops import fourier
from pdesolve.training import Tuning, refine
from pdesolve.training.refinement.evolution import Evolution, coarse_shape
from pdesolve.training.refinement.sweep import judged

RESULT = Path(__file__).parents[1] / "results" / "refinement.json"
FORCED, DECAYING = "refiner_forced_32", "refiner_decaying_32"
RUNS = {
    "forced, 8 epochs, seed 0": ("a0_8", FORCED, 8, 0),
    "forced, 8 epochs, seed 1": ("a1_8", FORCED, 8, 1),
    "forced, 33 epochs, seed 0": ("a0", FORCED, 33, 0),
    "decaying": ("b0", DECAYING, 25, 0),
}
# Other operators and equations, trained for a minute or two: overrides of `pdesolve train`.
FRAMES = ("window=frames", "dataset.window.outputs=40", "trainer.epochs=8", "trainer.batch_size=4")
BEHIND = {
    "TFNO, forced flow": (
        FORCED, *FRAMES, "operator=tfno", "operator.modes=[16,16]", "operator.width=24",
    ),
    "MgNO, forced flow": (
        FORCED, *FRAMES, "operator=mgno", "operator.width=16", "optimizer.lr=1e-3",
        "trainer.clip_norm=1",
    ),
    "scOT, forced flow": (
        FORCED, *FRAMES, "operator=scot/small", "operator.condition_dim=0", "operator.patch=2",
    ),
    "TFNO, Burgers": (
        "burgers_demo", "operator=tfno", "operator.modes=[32]", "operator.width=24",
        "trainer.epochs=10",
    ),
    "TFNO, Darcy": (
        "darcy_demo", "operator=tfno", "operator.modes=[16,16]", "operator.width=24",
        "operator.rank=0.1", "operator.wall_factor=true", "trainer.epochs=8",
    ),
}  # fmt: skip
# Trajectories of the costly rows.
FEW = 8


@dataclass
class Case:
    """Predictions of one operator on stored trajectories.

    Args:
        history, truth, prediction: (b, 1, t, *grid), float64.
        model: the operator; x are its inputs.
    """

    equation: Any
    grid: Any
    step: float
    history: torch.Tensor
    truth: torch.Tensor
    prediction: torch.Tensor
    model: Any
    x: torch.Tensor

    def rows(self, count: int) -> "Case":
        """Return the first samples."""
        parts = (self.history, self.truth, self.prediction)
        cut = [part[:count] for part in parts]
        return Case(self.equation, self.grid, self.step, *cut, self.model, self.x[:count])

    def refined(self, **options: Any) -> Any:
        """Return what `refine` makes of the predictions."""
        return refine(
            self.prediction, self.equation, grid=self.grid, history=self.history, step=self.step,
            **options,
        )  # fmt: skip

    def error(self, value: torch.Tensor) -> torch.Tensor:
        """Return relative L2 errors, (b,)."""
        size = self.truth.flatten(1).norm(dim=1)
        return (value.double() - self.truth).flatten(1).norm(dim=1) / size

    @property
    def evolution(self) -> Evolution:
        """What the equation knows of these trajectories, with the coarse tangent."""
        model = Evolution(
            self.equation, self.grid, self.step, self.history[:, 0, -1],
            coarse=coarse_shape(self.grid, 0.5),
        )  # fmt: skip
        return model.stable(self.prediction[:, 0])


@dataclass
class Record:
    """The result file, rewritten after each row."""

    path: Path
    rows: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.path.is_file():
            self.rows = json.loads(self.path.read_text())["rows"]

    def add(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        if name in self.rows:
            return
        started = time.perf_counter()
        found = measure()
        self.rows[name] = found | {"minutes": round((time.perf_counter() - started) / 60, 2)}
        content = {
            "what": "refinement without labels, errors relative L2 over space and time",
            "command": "OMP_NUM_THREADS=1 python benchmarks/accuracy/refinement.py",
            "versions": {"pdesolve": pdesolve.__version__, "torch": torch.__version__},
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
            "rows": self.rows,
        }
        self.path.write_text(json.dumps(content, indent=1) + "\n")


def run_of(name: str, folder: Path) -> Path:
    """Return the folder of a trained operator; make its data and train it if it is not there."""
    stem, dataset, epochs, seed = RUNS[name]
    data, run = folder / "data" / dataset, folder / "runs" / stem
    base = [sys.executable, "-m", "pdesolve"]
    if not (data / "MANIFEST.json").is_file():
        made = [*base, "generate", f"dataset={dataset}", f"dataset.path={data}", "progress=false"]
        subprocess.run(made, check=True)
    if not (run / "metrics.json").is_file():
        experiment = "stfno_forced_32" if dataset == FORCED else "stfno_decaying_32"
        subprocess.run(
            [*base, "train", f"experiment=navier_stokes/{experiment}", f"dataset.path={data}",
             f"trainer.epochs={epochs}", f"seed.init={seed}", f"seed.order={seed}",
             f"hydra.run.dir={run}", "progress=false"],
            check=True,
        )  # fmt: skip
    return run


def case_of(name: str, folder: Path, *, splits: tuple[str, ...] = ("test",)) -> Case:
    """Return the predictions of an operator on whole trajectories of some splits."""
    _, dataset, _, _ = RUNS[name]
    run = run_of(name, folder)
    model = pdesolve.load(run / "model").eval()
    known, ahead = (10, 40) if dataset == FORCED else (6, 6)
    parts = []
    for split in splits:
        data = open_dataset(folder / "data" / dataset, split=split, window=Window(known, ahead, 0))
        batch = data.batch(range(len(data)))
        with torch.no_grad():
            parts.append((batch.x, batch.y, model(batch.x)))
    x, y, prediction = (torch.cat(part) for part in zip(*parts, strict=True))
    equation = getattr(pde, data.equation)(**data.equation_parameters)
    fields = (u.double()[:, None] for u in (x, y, prediction))
    return Case(equation, data.grid, data.frame_spacing, *fields, model, x)


def swept(case: Case, **options: Any) -> dict[str, Any]:
    """Return errors and residuals before and after a refinement."""
    started = time.perf_counter()
    found = case.refined(**options)
    seconds = time.perf_counter() - started
    before, after = case.error(case.prediction), case.error(found.value)
    fall = found.stats["residual/before"] / found.stats["residual"].clamp_min(1e-16)
    return {
        "samples": len(before),
        "error before": float(before.mean()),
        "error after": float(after.mean()),
        "factor": float(after.mean() / before.mean()),
        "worst factor": float((after / before).max()),
        "residual fall": float(fall.mean()),
        "least residual fall": float(fall.min()),
        "estimate over truth before": ends(found.stats["estimate/before"] / before),
        "estimate over truth after": ends(found.stats["estimate"] / after),
        "worst error after": float(after.max()),
        "iterations": float(found.stats["iterations"].double().mean()),
        "seconds a sample": seconds / len(before),
    }


def ends(values: torch.Tensor) -> list[float]:
    """Return the least, the middle and the largest of some numbers."""
    return [float(values.min()), float(values.median()), float(values.max())]


def estimates(cases: list[Case], coarse: float | None) -> dict[str, Any]:
    """Return how well estimates follow the true errors over all predictions."""
    pairs = []
    for case in cases:
        found = case.refined(method="estimate", coarse=coarse)
        pairs.append(torch.stack([found.stats["estimate"], case.error(case.prediction)]))
    estimated, true = torch.cat(pairs, 1)
    correlation = torch.corrcoef(torch.stack([estimated.log(), true.log()]))[0, 1]
    return {
        "predictions": len(true),
        "log-correlation": float(correlation),
        "estimate over truth": ends(estimated / true),
        "true errors": ends(true),
    }


def costs(case: Case, rounds: int = 15) -> dict[str, Any]:
    """Return times over that of the equation's own run, one trajectory, interleaved."""
    one = case.rows(1)
    substeps = one.evolution.substeps

    def classical() -> None:
        state = one.history[:, 0, -1]
        for _ in range(one.truth.shape[2]):
            state = one.equation.step(state, one.step, substeps, grid=one.grid)

    parts: dict[str, Callable[[], Any]] = {
        "classical": classical,
        "estimate by the linear part": lambda: one.refined(method="estimate", coarse=None),
        "estimate": lambda: one.refined(method="estimate"),
        "sweep": one.refined,
    }
    ratios: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds + 2):
        seconds = {}
        for name, part in parts.items():
            started = time.perf_counter()
            part()
            seconds[name] = time.perf_counter() - started
        for name in parts:
            ratios[name].append(seconds[name] / seconds["classical"])
    return {
        name: {
            "median": statistics.median(found[2:]),
            "least": min(found[2:]),
            "most": max(found[2:]),
        }
        for name, found in ratios.items()
    } | {"substeps": substeps}


def blind_spots(case: Case) -> dict[str, Any]:
    """Return estimates of the own trajectory, of unrelated states, and of persistence."""
    model = case.evolution
    own = case.refined(iterations=1, coarse=1.0).value[:, 0]
    noise = fourier.truncate(torch.randn_like(own), (21, 21))
    unrelated = noise / noise.std() * own.std()
    frozen = case.history[:, 0, -1:].expand_as(own)
    found = {}
    several = {
        "own trajectory": own,
        "unrelated states": unrelated,
        "persistence": frozen,
        "prediction": case.prediction[:, 0],
    }
    for name, states in several.items():
        one = judged(model, model.kept(states))
        found[name] = {
            "estimate": ends(one.estimate),
            "residual": ends(model.residual(one.states, one.defects)),
            "true error": ends(case.error(states[:, None])),
        }
    return found


def block_exactness(case: Case) -> dict[str, Any]:
    """Return the distance of short blocks, swept as often as they have steps, from the solver."""
    own = case.refined(iterations=1, coarse=1.0).value
    found = {}
    for steps in (2, 3, 5):
        value = case.refined(coarse=None, block=steps, iterations=steps).value
        found[f"{steps} steps"] = float((value - own).abs().max() / own.abs().max())
    return found


def behind(name: str, folder: Path) -> dict[str, Any]:
    """Return what `pdesolve refine` reports of an operator that `pdesolve train` makes first."""
    dataset, *overrides = BEHIND[name]
    stem = name.lower().replace(", ", "_").replace(" ", "_")
    data, run = folder / "data" / dataset, folder / "runs" / stem
    base = [sys.executable, "-m", "pdesolve"]
    quiet = ["progress=false"]
    if not (data / "MANIFEST.json").is_file():
        made = [*base, "generate", f"dataset={dataset}", f"dataset.path={data}", *quiet]
        subprocess.run(made, check=True)
    if not (run / "metrics.json").is_file():
        train = [f"dataset={dataset}", f"dataset.path={data}", *overrides, f"hydra.run.dir={run}"]
        subprocess.run([*base, "train", *train, *quiet], check=True)
    # Stored subsets of finer grids are no discrete solutions: the equation wants all points.
    asked = [f"run={run}", "stride=1", "samples=24", f"hydra.run.dir={run}_refined", *quiet]
    subprocess.run([*base, "refine", *asked], check=True)
    figures = json.loads(Path(f"{run}_refined/metrics.json").read_text())
    before, after = figures["reference/prediction/test/l2"], figures["test/l2"]
    estimate = figures["reference/prediction/test/estimated"]
    return {
        "overrides": list(BEHIND[name]),
        "samples": figures["test/samples"],
        "error before": before,
        "error after": after,
        "factor": after / before,
        "mean estimate over mean error": estimate / before,
        "residual fall": figures["reference/prediction/test/residual"] / figures["test/residual"],
        "classical error": figures["reference/classical_solver/test/l2"],
    }


def on_finer_grid(case: Case, points: int) -> Case:
    """Return the same predictions on a finer grid, whose own solution is then the truth."""
    grid = case.grid.resized((points, points))
    history = fourier.resample(case.history, grid.shape)
    state, frames = history[:, 0, -1], []
    substeps = 2 * case.equation.substeps(state, case.step, grid=grid)
    for _ in range(case.truth.shape[2]):
        state = case.equation.step(state, case.step, substeps, grid=grid)
        frames.append(state)
    truth = torch.stack(frames, 1)[:, None]
    padded = fourier.resample(case.prediction, grid.shape)
    return Case(case.equation, grid, case.step, history, truth, padded, case.model, case.x)


def decaying_on_128(folder: Path) -> Case:
    """Return predictions of decaying turbulence against the flow that 128 x 128 points resolve."""
    path = folder / "data" / "refiner_decaying_128"
    if not (path / "MANIFEST.json").is_file():
        subprocess.run(
            [sys.executable, "-m", "pdesolve", "generate", "dataset=refiner_decaying_128",
             f"dataset.path={path}", "progress=false"],
            check=True,
        )  # fmt: skip
    data = open_dataset(path, split="test", window=Window(6, 6, 0))
    batch = data.batch(range(len(data)))
    model = pdesolve.load(run_of("decaying", folder) / "model").eval()
    with torch.no_grad():
        coarse = model(fourier.resample(batch.x, (32, 32)))
    equation = getattr(pde, data.equation)(**data.equation_parameters)
    prediction = fourier.resample(coarse.double(), data.grid.shape)
    fields = (batch.x.double()[:, None], batch.y.double()[:, None], prediction[:, None])
    return Case(equation, data.grid, data.frame_spacing, *fields, model, batch.x)


def storage(case: Case) -> dict[str, Any]:
    """Return how exactly the operator's last layer holds what a sweep found."""
    one = case.rows(1)
    model = one.model.double().requires_grad_(False)
    x = one.x.double()
    prediction = model(x)
    found = refine(
        prediction[:, None], one.equation, grid=one.grid, history=one.history, step=one.step
    )
    steps = prediction.shape[1]
    seen = {}

    def note(module: Any, inputs: Any, output: torch.Tensor) -> None:
        del module
        seen.update(x=inputs[0], y=output)

    handle = model.last_spectral.register_forward_hook(note)
    model(x)
    handle.remove()
    layer = SpectralCorrection(1, 1, seen["x"].shape[2:], seen["y"].shape[2:]).double()
    layer.store((found.value[:, 0] - prediction)[:, -steps:])
    with torch.no_grad(), corrected(model.last_spectral, layer):
        again = model(x)
    model.float()
    return {
        "relative difference": float((again - found.value[:, 0]).abs().max() / again.abs().max())
    }


def measure(record: Record, folder: Path) -> None:
    """Measure every row that is not there yet."""
    forced = [name for name in RUNS if name.startswith("forced")]
    cases = {name: case_of(name, folder) for name in forced}
    wide = [case_of(name, folder, splits=("test", "valid")) for name in forced]
    for name, case in cases.items():
        record.add(f"one sweep: {name}", lambda case=case: swept(case))
        record.add(f"six sweeps: {name}", lambda case=case: swept(case, iterations=6))
        for tolerance in (1e-2, 3e-3, 1e-3):
            record.add(
                f"tolerance {tolerance:g}: {name}",
                lambda case=case, tolerance=tolerance: swept(case, tolerance=tolerance),
            )
    record.add("estimates by the linear part", lambda: estimates(wide, None))
    record.add("estimates", lambda: estimates(wide, 0.5))
    first = cases[forced[0]]
    record.add("cost", lambda: costs(first))
    record.add("what estimates say of other states", lambda: blind_spots(first))
    record.add("blocks", lambda: block_exactness(first))
    record.add("storage in the last layer", lambda: storage(first))
    finer = on_finer_grid(first.rows(FEW), 64)
    record.add("refined on 64 points, coarse 16", lambda: swept(finer, coarse=0.25))
    record.add("refined on 64 points, coarse 32", lambda: swept(finer, coarse=0.5))
    for name in BEHIND:
        record.add(f"behind {name}", lambda name=name: behind(name, folder))
    decaying = decaying_on_128(folder)
    for share in (0.5, 0.75):
        record.add(
            f"decaying on 128 points, coarse {share}",
            lambda share=share: swept(decaying.rows(FEW), coarse=share),
        )
    record.add("decaying on 128 points, guard", lambda: swept(decaying.rows(FEW), coarse=None))
    for name in forced[:2]:
        few = cases[name].rows(FEW)
        for iterations in (10, 30):
            record.add(
                f"last layer tuned for {iterations}: {name}",
                lambda few=few, iterations=iterations: swept(
                    few, method="tune", iterations=iterations, tuning=Tuning("last_layer"),
                    model=few.model, inputs=few.x,
                ),
            )  # fmt: skip
    few = first.rows(FEW)
    record.add(
        "layer behind tuned for 60",
        lambda: swept(few, method="tune", iterations=60, tuning=Tuning("layer")),
    )
    record.add(
        "published",
        lambda: swept(few, method="published", iterations=50, model=few.model, inputs=few.x),
    )


def show(rows: dict[str, Any]) -> None:
    table = Table("row", "error before", "after", "factor", "worst", "residual fall")
    for name, row in rows.items():
        if "factor" in row:
            table.add_row(
                name, f"{row['error before']:.3%}", f"{row['error after']:.4%}",
                f"{row['factor']:.3g}", f"{row.get('worst factor', float('nan')):.3g}",
                f"{row['residual fall']:.3g}",
            )  # fmt: skip
    Console().print(table)
    for name, row in rows.items():
        if "factor" not in row:
            Console().print(name, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/refinement"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    record = Record(arguments.out)
    measure(record, arguments.folder)
    show(record.rows)


if __name__ == "__main__":
    main()
