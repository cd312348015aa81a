"""Compare a TFNO trained on single steps with the same one trained through the rollout.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/autoregressive.py

A TFNO learns a small Navier-Stokes set (200 trajectories on 32 x 32 points, ten frames to the next
one) from true frames. Two more go on from its weights: one with more single steps, the other
through rollouts of ten calls; both make as many updates and calls of the model, at the same rate.
Weights are chosen on the validation split. What counts is the relative L2 error of rollouts of the
test split at the last time, ten calls after the last true frame. A run that was stopped goes on, a
finished one is not repeated.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import pdesolve

RESULT = Path(__file__).parents[1] / "results" / "autoregressive.json"
PERSISTENCE = "reference/persistence/"
# What is kept of a run's metrics: error against time, at the training resolution and at twice it.
KEPT = ("test/rollout/", "test@64/rollout/", "test/l2", f"{PERSISTENCE}test/rollout/", "seconds")


@dataclass(frozen=True)
class Run:
    """How a model is trained, and from which run's weights it starts."""

    objective: str
    epochs: int
    start: str = ""
    rate: str = ""


RUNS = {
    "one_step": Run("one_step", 40),
    "one_step_after_one_step": Run("one_step", 4, "one_step", "1e-4"),
    "unrolled_after_one_step": Run("unrolled", 4, "one_step", "1e-4"),
}
OLD, NEW = "one_step_after_one_step", "unrolled_after_one_step"


def typed(result: Path, *arguments: str) -> str:
    """Run a command of the package unless its result is there; return it as one would type it."""
    if not result.exists():
        subprocess.run([sys.executable, "-m", "pdesolve", *arguments], check=True)
    return " ".join(["pdesolve", *arguments])


def trained(name: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train, evaluate and keep what metrics.json and the log say."""
    run, folder = RUNS[name], arguments.folder / f"{name}_{seed}"
    further = [f"optimizer.lr={run.rate}"] if run.rate else []
    if run.start:
        further.append(f"init={arguments.folder / f'{run.start}_{seed}' / 'model'}")
    command = typed(
        folder / "metrics.json",
        "train",
        f"experiment=navier_stokes/{run.objective}",
        f"trainer.epochs={run.epochs}",
        *further,
        f"seed.init={seed}",
        f"seed.order={seed}",
        f"dataset.path={arguments.data}",
        f"hydra.run.dir={folder}",
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "command": command,
        "valid/l2": min(row["valid/l2"] for row in log if "valid/l2" in row),
        **{key: value for key, value in metrics.items() if key.startswith(KEPT)},
    }


def last_time(run: dict, prefix: str = "") -> float:
    """Error of the rollout at the last time of the test split."""
    errors = {k: v for k, v in run.items() if k.startswith(f"{prefix}test/rollout/l2@")}
    return errors[max(errors, key=lambda name: float(name.partition("@")[2]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=Path("data/navier_stokes_demo"))
    parser.add_argument("--folder", type=Path, default=Path("runs/autoregressive"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    set_path = f"dataset.path={arguments.data}"
    made = typed(arguments.data, "generate", "dataset=navier_stokes_demo", set_path)
    runs = {name: [trained(name, seed, arguments) for seed in arguments.seeds] for name in RUNS}
    errors = {name: [last_time(run) for run in some] for name, some in runs.items()}
    record = {
        "what": "relative L2 error of test rollouts at the last time, 10 calls after the last true "
        "frame; valid/l2 is that of what was trained, one step or a rollout",
        "command": "OMP_NUM_THREADS=1 python benchmarks/accuracy/autoregressive.py "
        f"--seeds {' '.join(map(str, arguments.seeds))}",
        "data": made,
        "threads": torch.get_num_threads(),
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "error_at_last_time": errors,
        "ratio_at_last_time": [a / b for a, b in zip(errors[NEW], errors[OLD], strict=True)],
        "persistence_at_last_time": last_time(runs["one_step"][0], PERSISTENCE),
        "runs": runs,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("trained on", "error at the last time", "training seconds")
    for name, some in runs.items():
        spent = statistics.fmean(run["seconds"] for run in some)
        figures = ", ".join(f"{error:.4f}" for error in errors[name])
        table.add_row(name.replace("_", " "), figures, f"{spent:.0f}")
    table.add_row("persistence", f"{record['persistence_at_last_time']:.4f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
