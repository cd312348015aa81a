"""Compare a TFNO trained on single steps with the same one trained through the rollout.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/autoregressive.py

Both learn a small Navier-Stokes set (200 trajectories on 32 x 32 points, ten frames to the next
one), from the same initial weights, in as many updates and calls of the model; weights are chosen
on the validation split. What counts is the relative L2 error of rollouts of the test split at the
last time, ten calls after the last true frame. A run that was stopped goes on.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import pdesolve

RESULT = Path(__file__).parents[1] / "results" / "autoregressive.json"
OBJECTIVES = ("one_step", "unrolled")
PERSISTENCE = "reference/persistence/"
# What is kept of a run's metrics: error against time, at the training resolution and at twice it.
KEPT = ("test/rollout/", "test@64/rollout/", "test/l2", f"{PERSISTENCE}test/rollout/", "seconds")


def pdesolve_runs(*arguments: str) -> str:
    """Run a command of the package; return it as one would type it."""
    subprocess.run([sys.executable, "-m", "pdesolve", *arguments], check=True)
    return " ".join(["pdesolve", *arguments])


def one_run(objective: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train, evaluate and keep what its metrics.json says."""
    folder = arguments.folder / f"{objective}_{arguments.epochs}_{seed}"
    command = pdesolve_runs(
        "train",
        f"experiment=navier_stokes/{objective}",
        f"trainer.epochs={arguments.epochs}",
        f"seed.init={seed}",
        f"seed.order={seed}",
        f"dataset.path={arguments.data}",
        f"hydra.run.dir={folder}",
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "command": command.replace(f"{arguments.folder}/", "runs/").replace(
            f"dataset.path={arguments.data} ", ""
        ),
        "valid/l2": min(row["valid/l2"] for row in log if "valid/l2" in row),
        **{name: value for name, value in metrics.items() if name.startswith(KEPT)},
    }


def last_time(run: dict, prefix: str = "") -> float:
    """Error of the rollout at the last time of the test split."""
    errors = {k: v for k, v in run.items() if k.startswith(f"{prefix}test/rollout/l2@")}
    return errors[max(errors, key=lambda name: float(name.partition("@")[2]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", type=Path, default=Path("data/navier_stokes_demo"))
    parser.add_argument("--folder", type=Path, default=Path("runs/autoregressive"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    made = pdesolve_runs(
        "generate", "dataset=navier_stokes_demo", f"dataset.path={arguments.data}"
    )  # Files that are there already are checked, not made again.
    runs = {name: [one_run(name, s, arguments) for s in arguments.seeds] for name in OBJECTIVES}
    errors = {name: [last_time(run) for run in runs[name]] for name in OBJECTIVES}
    ratios = [new / old for old, new in zip(*errors.values(), strict=True)]
    record = {
        "what": "relative L2 error of test rollouts at the last time: unrolled / one_step",
        "command": "OMP_NUM_THREADS=1 python benchmarks/accuracy/autoregressive.py "
        f"--epochs {arguments.epochs} --seeds {' '.join(map(str, arguments.seeds))}",
        "data": made.replace(f" dataset.path={arguments.data}", ""),
        "threads": torch.get_num_threads(),
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "error_at_last_time": errors,
        "ratio_at_last_time": ratios,
        "persistence_at_last_time": last_time(runs[OBJECTIVES[0]][0], PERSISTENCE),
        "runs": runs,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("trained on", "error at the last time", "training seconds", "seeds")
    for name in OBJECTIVES:
        spent = statistics.fmean(run["seconds"] for run in runs[name])
        figures = ", ".join(f"{error:.4f}" for error in errors[name])
        table.add_row(name, figures, f"{spent:.0f}", str(arguments.seeds))
    table.add_row("persistence", f"{record['persistence_at_last_time']:.4f}", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
