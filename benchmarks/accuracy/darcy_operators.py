"""Compare operators on Darcy flow at 64 x 64 points, each with the same processor time to train.

    pdesolve generate dataset=darcy_64
    OMP_NUM_THREADS=1 python benchmarks/accuracy/darcy_operators.py

MgNO, LSM, TFNO and neuraloperator's FNO learn from 400 samples by `pdesolve train
experiment=darcy/operators_64 operator=...`; nothing differs but the operator and its learning rate.
An epoch of each is timed first, in processor seconds of one thread; the budget is that many whole
epochs, and the schedule spans them. The learning rate of each is that of the lowest validation
error of seed 0 among the same few, with a shorter budget; the test split is looked at with three
seeds at that rate. Runs lie in folders of their own: an interrupted one goes on where it stopped,
and one that is in the result file is not repeated.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve.cli.configs import config_folder
from pdesolve.cli.failures import NUMERICAL
from pdesolve.cli.sets import open_sets
from pdesolve.cli.train import new_model
from pdesolve.training import Settings, fit

RESULT = Path(__file__).parents[1] / "results" / "darcy_operators.json"
EXPERIMENT = "darcy/operators_64"
MODELS = {"MgNO": "mgno", "LSM": "lsm", "TFNO": "tfno", "FNO (neuraloperator)": "baseline/fno"}
RATES = (5e-4, 1.5e-3, 5e-3, 1.5e-2, 4.5e-2)
SEEDS = (0, 1, 2)
# Batches before the clock starts: the first ones set up what later ones use.
WARM_UP = 2


class Record:
    """The result file, rewritten after each measurement and each run."""

    def __init__(self, path: Path, about: dict):
        self.path, self.about = path, about
        self.runs: list[dict] = []
        self.epoch_seconds: dict[str, float] = {}
        if path.is_file():
            stored = json.loads(path.read_text())
            if stored["data"] != about["data"]:
                raise SystemExit(f"{path} holds runs on other data: move it away")
            self.runs, self.epoch_seconds = stored["runs"], stored["epoch_seconds"]

    def find(self, **wanted) -> dict | None:
        return next((row for row in self.runs if wanted.items() <= row.items()), None)

    def write(self, **summary) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        measured = {"epoch_seconds": self.epoch_seconds, "runs": self.runs}
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self.about | summary | measured, indent=1) + "\n")
        unfinished.replace(self.path)


def composed(operator: str):
    """Return the config of a run as the command line makes it."""
    OmegaConf.register_new_resolver("started", lambda: "now", replace=True)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"experiment={EXPERIMENT}", f"operator={operator}"])
    OmegaConf.resolve(config)
    return config


def timed_epoch(operator: str, samples: int | None) -> float:
    """Return processor seconds of an epoch, from all or the first so many training samples."""
    config = composed(operator)
    train = open_sets(config).train
    model, size = new_model(config, train), config.trainer.batch_size
    settings = Settings(epochs=1, batch_size=size)
    warm, timed = WARM_UP * size, min(samples or len(train), len(train))
    fit(model, train.subset(range(min(warm, timed))), settings=settings, progress=False)
    start = time.process_time()
    fit(model, train.subset(range(timed)), settings=settings, progress=False)
    return (time.process_time() - start) * len(train) / timed


def one_run(name: str, rate: float, seed: int, epochs: int, folder: Path) -> dict:
    """Train by the command line, or go on with what a killed run left; return its figures.

    A run that ends in NaN or infinity has no figures but its processor time, and one that went on
    has all but that: nothing knows of the part that was killed.
    """
    went_on = (folder / "checkpoints").exists()
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        sys.executable, "-m", "pdesolve", "train", f"experiment={EXPERIMENT}",
        f"operator={MODELS[name]}", f"optimizer.lr={rate}", f"trainer.epochs={epochs}",
        f"trainer.validate_every={epochs}", f"seed.init={seed}", f"seed.order={seed}",
        "progress=false", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, env=environment)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = None
    if not went_on:
        spent = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
    if done.returncode == NUMERICAL:
        return {"diverged": True, "cpu_seconds": spent}
    done.check_returncode()
    metrics = json.loads((folder / "metrics.json").read_text())
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines if "valid/l2" in line][-1]
    return {
        "valid/l2": last["valid/l2"],
        "train/loss": last["train/loss"],
        **{key: metrics[key] for key in ("test/l2", "test/h1", "parameters", "seconds")},
        "mean/l2": metrics["reference/training_mean/test/l2"],
        "cpu_seconds": spent,
    }


def finished(
    name: str, rate: float, seed: int, budget: float, record: Record, folder: Path
) -> dict:
    wanted = {"model": name, "rate": rate, "seed": seed, "budget": budget}
    row = record.find(**wanted)
    if row is None:
        epochs = max(1, int(budget / record.epoch_seconds[name]))
        place = folder / f"{MODELS[name].replace('/', '_')}_{rate:g}_{seed}_{epochs}"
        row = wanted | {"epochs": epochs} | one_run(name, rate, seed, epochs, place)
        record.runs.append(row)
        record.write()
    return row


def summary(name: str, record: Record, arguments: argparse.Namespace) -> dict:
    """Choose the rate on validation, then gather the figures of all seeds at that rate."""
    rates, folder = arguments.rates, arguments.folder
    tried = [finished(name, r, SEEDS[0], arguments.search, record, folder) for r in rates]
    rate = min(tried, key=lambda row: row.get("valid/l2", math.inf))["rate"]
    rows = [finished(name, rate, s, arguments.budget, record, folder) for s in arguments.seeds]
    if lost := [row["seed"] for row in rows if row.get("diverged")]:
        raise SystemExit(f"{name} diverged at the rate {rate:g} with the seeds {lost}")
    figures: dict = {
        "rate": rate,
        # A better rate may lie beyond the tried ones.
        "rate_at_the_edge": rate in (min(rates), max(rates)),
        "diverged_at": [row["rate"] for row in tried if row.get("diverged")],
        "parameters": rows[0]["parameters"],
        "epochs": rows[0]["epochs"],
    }
    for key in ("test/l2", "test/h1", "valid/l2", "train/loss", "seconds", "cpu_seconds"):
        values = [row[key] for row in rows if row[key] is not None]
        if not values:
            continue
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        figures[key] = {"mean": statistics.fmean(values), "std": spread}
    return figures


def show(found: dict, mean: float) -> None:
    table = Table("operator", "parameters", "relative L2", "relative H1", "CPU s", "epochs", "rate")
    for name, row in found.items():
        l2, h1 = row["test/l2"], row["test/h1"]
        spent = f"{row['cpu_seconds']['mean']:.0f}" if "cpu_seconds" in row else ""
        table.add_row(
            name, f"{row['parameters']}", f"{l2['mean']:.4f} ± {l2['std']:.4f}",
            f"{h1['mean']:.4f} ± {h1['std']:.4f}", spent, f"{row['epochs']}",
            f"{row['rate']:g}" + (" (edge)" if row["rate_at_the_edge"] else ""),
        )  # fmt: skip
    table.add_row("training mean", "0", f"{mean:.4f}", "", "", "", "")
    Console().print(table)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=600.0, help="processor seconds a run")
    parser.add_argument("--search", type=float, default=150.0, help="the same for a learning rate")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--timed", type=int, help="time an epoch by its first so many samples")
    parser.add_argument("--folder", type=Path, default=Path("runs/darcy_operators"))
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    sets = open_sets(composed("mgno"))
    splits = {"train": sets.train, "valid": sets.valid, "test": sets.test[""]}
    about = {
        "what": "relative errors on the test split after the same processor time of training",
        "command": "OMP_NUM_THREADS=1 python benchmarks/accuracy/darcy_operators.py",
        "experiment": EXPERIMENT,
        "budget": {"run": arguments.budget, "search": arguments.search, "rates": arguments.rates},
        "data": {name: [len(data), data.data_hash] for name, data in splits.items()},
        "versions": {"pdesolve": pdesolve.__version__, "torch": torch.__version__},
        "machine": platform.machine(),
    }
    record = Record(arguments.out, about)
    for name in arguments.models:
        if name not in record.epoch_seconds:
            record.epoch_seconds[name] = timed_epoch(MODELS[name], arguments.timed)
            record.write()
    found = {}
    for name in arguments.models:
        found[name] = summary(name, record, arguments)
        record.write(summary=found)
    show(found, record.runs[0]["mean/l2"])


if __name__ == "__main__":
    main()
