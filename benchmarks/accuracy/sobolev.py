"""Measure what the order of a Sobolev training loss does to the errors of an operator.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/sobolev.py

A TFNO learns decaying turbulence on 32 x 32 points, from one record to the one 0.3 time units
later, with relative H^s losses of several orders s and with two curricula, that move from order 1
to 0 and from -1 to 0 over the epochs. All runs have the same samples, updates and initial weights
for a seed; orders differ in nothing but the loss. Reported are the relative L2 and H1 errors of
test predictions, and the relative errors in three bands of wavenumbers.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve.datasets import Window, open_dataset
from pdesolve.evaluation import evaluate, training_mean
from pdesolve.layers import Normalized
from pdesolve.losses import Sobolev, SobolevCurriculum
from pdesolve.operators import TFNO
from pdesolve.training import AdamW, Settings, fit

RESULT = Path(__file__).parents[1] / "results" / "sobolev_losses.json"
LOSSES = {
    "-1": Sobolev(-1),
    "0": Sobolev(0),
    "1/2": Sobolev(0.5),
    "1": Sobolev(1),
    "1 to 0": SobolevCurriculum((1, 0)),
    "-1 to 0": SobolevCurriculum((-1, 0)),
}
KEPT = ("l2", "h1", "band_low", "band_mid", "band_high")
WINDOW = Window(inputs=1, outputs=1, frames=3, every=3)


def trained(name: str, seed: int, sets: dict, epochs: int) -> dict[str, float]:
    """Train one model and return its test errors and the seconds that it took."""
    torch.manual_seed(seed)
    operator = TFNO(1, 1, (16, 16), 16, rank=0.3, domain=sets["train"].grid)
    model = Normalized(operator, **sets["train"].normalization())
    settings = Settings(epochs=epochs, batch_size=16, seed=seed)
    started = time.process_time()
    fit(
        model,
        sets["train"],
        loss=LOSSES[name],
        optimizer=AdamW(lr=5e-3),
        settings=settings,
        progress=False,
    )
    seconds = time.process_time() - started
    errors = evaluate(model, sets["test"])
    return {key: errors[key] for key in KEPT} | {"processor_seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--data", type=Path, default=Path("data/refiner_decaying_32"))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not arguments.data.exists():
        words = ["generate", "dataset=refiner_decaying_32", f"dataset.path={arguments.data}"]
        subprocess.run([sys.executable, "-m", "pdesolve", *words], check=True)
    sets = {
        split: open_dataset(arguments.data, split=split, window=WINDOW)
        for split in ("train", "test")
    }
    runs = {
        name: [trained(name, seed, sets, arguments.epochs) for seed in arguments.seeds]
        for name in LOSSES
    }
    mean = evaluate(training_mean(sets["train"]), sets["test"])
    record = {
        "what": "relative errors of test predictions by the order of the relative H^s loss",
        "command": "OMP_NUM_THREADS=1 python benchmarks/accuracy/sobolev.py "
        f"--seeds {' '.join(map(str, arguments.seeds))} --epochs {arguments.epochs}",
        "data": "pdesolve generate dataset=refiner_decaying_32",
        "data_hash": sets["train"].data_hash,
        "threads": torch.get_num_threads(),
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "training_mean": {key: mean[key] for key in KEPT},
        "runs": runs,
    }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    caption = f"mean of {len(arguments.seeds)} seeds (largest minus smallest)"
    table = Table("order of the loss", *KEPT, caption=caption)
    for name, some in runs.items():
        columns = ([run[key] for run in some] for key in KEPT)
        table.add_row(
            name, *(f"{statistics.fmean(c):.4f} ({max(c) - min(c):.4f})" for c in columns)
        )
    Console().print(table)


if __name__ == "__main__":
    main()
