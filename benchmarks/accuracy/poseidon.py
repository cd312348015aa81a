"""Two questions about small transformers on our flows: which pairs to learn from, and transfer.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/poseidon.py pairs --seeds 0 1 2
    OMP_NUM_THREADS=1 python benchmarks/accuracy/poseidon.py transfer

`pairs`: a scOT of width 24 learns trajectories of dataset=flow_shear, once from all pairs of
frames with their lead time, once from neighbouring frames, with as many updates. What counts is the
error at the last time from the first frame; the first model gets there in one call and in ten.

`transfer`: the same transformer learns flow_shear from 1, 2, 4, ... 64 trajectories, once from
nothing and once from what it learned on flow_gaussian and flow_decaying; accuracy and efficiency
gains are those of Poseidon's paper, with the model from nothing as baseline.

Errors are medians over the test trajectories of the relative L2 error. One JSON row a run; a run
that was stopped goes on, a finished one is not repeated.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve.datasets import Dataset, Member, Mixture, Pairs, open_dataset
from pdesolve.evaluation import (
    accuracy_gain,
    efficiency_gain,
    rollout_errors,
    scaling_exponent,
    semigroup_defects,
)
from pdesolve.layers import Normalized
from pdesolve.losses import GroupedRelativeL1
from pdesolve.operators import ScOT
from pdesolve.training import GroupedAdamW, OneCycle, Rule, Settings, fit

RESULTS = Path(__file__).parents[1] / "results"
TARGET, SOURCES = "flow_shear", ("flow_gaussian", "flow_decaying")
SIZES = (1, 2, 4, 8, 16, 32, 64)
BATCH, FINAL_TIME = 32, 20.0
UNDECAYED = Rule("norm|bias", weight_decay=0.0)
FROM_NOTHING = GroupedAdamW(lr=1e-3, weight_decay=0.01, rules=(UNDECAYED,))
FINE_TUNING = GroupedAdamW(
    lr=3e-4,
    weight_decay=1e-6,
    rules=(
        Rule("norm", lr=1e-3, weight_decay=0.0),
        Rule("embeddings|patch_recovery", lr=1e-3),
        Rule("bias", weight_decay=0.0),
    ),
)


def opened(name: str, split: str, arguments: argparse.Namespace, kind: Any = "all2all") -> Dataset:
    """Open a flow, which is generated at the first call."""
    folder = arguments.data / name
    if not folder.is_dir():
        command = ["generate", f"dataset={name}", f"dataset.path={folder}"]
        subprocess.run([sys.executable, "-m", "pdesolve", *command], check=True)
    return open_dataset(folder, split=split, window=Pairs(kind))


def transformer() -> ScOT:
    return ScOT(
        1, 1, 24, (2, 2, 2), (3, 6, 12), skips=(1, 1, 0), window=8, time_scale=FINAL_TIME,
    )  # fmt: skip


def trained(
    operator: ScOT, train: Any, optimizer: GroupedAdamW, updates: int, folder: Path, seed: int
) -> tuple[Normalized, float]:
    """Train for about so many updates; return the model and the seconds."""
    model = Normalized(operator, **train.normalization())
    epochs = max(1, round(updates / math.ceil(len(train) / BATCH)))
    result = fit(
        model,
        train,
        folder=folder,
        loss=GroupedRelativeL1((1,)),
        optimizer=optimizer,
        schedule=OneCycle(warmup=0.05),
        settings=Settings(epochs=epochs, batch_size=BATCH, clip_norm=5.0, seed=seed),
    )
    return model, result.seconds


def median_at_the_end(model: Normalized, test: Dataset, hops: list[int]) -> float:
    return float(rollout_errors(model, test, hops=hops).l2[:, -1].median())


def kept(folder: Path, make: Any) -> dict[str, Any]:
    """The row of a run, made once."""
    path = folder / "row.json"
    if not path.exists():
        row = make(folder)
        path.write_text(json.dumps(row) + "\n")
    return json.loads(path.read_text())


def pairs_row(kind: str, seed: int, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    torch.manual_seed(seed)
    train = opened(TARGET, "train", arguments, kind).subset(range(arguments.trajectories))
    model, seconds = trained(
        transformer(), train, FROM_NOTHING, arguments.updates, folder / "fit", seed
    )
    test = opened(TARGET, "test", arguments)
    frames = len(test.times) - 1
    row = {"kind": kind, "seed": seed, "seconds": seconds, "trajectories": train.trajectories}
    row["one_frame_a_call"] = median_at_the_end(model, test, [1] * frames)
    if kind == "all2all":
        row["one_call"] = median_at_the_end(model, test, [frames])
        row["semigroup_defect"] = float(semigroup_defects(model, test).median())
    return row


def pairs(arguments: argparse.Namespace) -> dict[str, Any]:
    rows = [
        kept(
            made(arguments.folder / f"pairs_{kind}_{seed}"),
            lambda folder, kind=kind, seed=seed: pairs_row(kind, seed, arguments, folder),
        )
        for seed in arguments.seeds
        for kind in ("next", "all2all")
    ]
    table = Table("pairs", "seed", "one frame a call", "one call")
    for row in rows:
        one = f"{row['one_call']:.4f}" if "one_call" in row else ""
        table.add_row(row["kind"], str(row["seed"]), f"{row['one_frame_a_call']:.4f}", one)
    Console().print(table)
    return {"what": "median relative L2 error at the last time", "rows": rows}


def pretrained(arguments: argparse.Namespace, seed: int) -> Path:
    """Folder of the model that knows the other flows."""
    folder = made(arguments.folder / f"pretrained_{seed}")
    if not (folder / "model").is_dir():
        torch.manual_seed(seed)
        mixture = Mixture([Member(opened(name, "train", arguments)) for name in SOURCES])
        updates = arguments.pretraining_updates
        model, _ = trained(transformer(), mixture, FROM_NOTHING, updates, folder / "fit", seed)
        pdesolve.save(model, folder / "model", metadata=mixture.metadata())
    return folder / "model"


def transfer_row(
    start: Path | None, trajectories: int, seed: int, arguments: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    torch.manual_seed(seed)
    train = opened(TARGET, "train", arguments).subset(range(trajectories))
    if start is None:
        operator, optimizer = transformer(), FROM_NOTHING
    else:
        operator = pdesolve.artifacts.pretrained(start, in_channels=1, out_channels=1)
        optimizer = FINE_TUNING
    model, seconds = trained(operator, train, optimizer, arguments.updates, folder / "fit", seed)
    test = opened(TARGET, "test", arguments)
    error = median_at_the_end(model, test, [len(test.times) - 1])
    name = "from nothing" if start is None else "pretrained"
    return {"start": name, "trajectories": trajectories, "error": error, "seconds": seconds}


def transfer(arguments: argparse.Namespace) -> dict[str, Any]:
    (seed,) = arguments.seeds
    model = pretrained(arguments, seed)
    rows = [
        kept(
            made(arguments.folder / f"transfer_{name}_{size}_{seed}"),
            lambda folder, start=start, size=size: transfer_row(
                start, size, seed, arguments, folder
            ),
        )
        for name, start in (("nothing", None), ("pretrained", model))
        for size in SIZES
    ]
    curves = {
        name: {row["trajectories"]: row["error"] for row in rows if row["start"] == name}
        for name in ("from nothing", "pretrained")
    }
    gains = {
        str(size): {
            "accuracy": accuracy_gain(*curves.values(), size),
            "efficiency": efficiency_gain(*curves.values(), size),
        }
        for size in SIZES
    }
    table = Table("trajectories", *curves, "accuracy gain", "efficiency gain")
    for size in SIZES:
        errors = [f"{curve[size]:.4f}" for curve in curves.values()]
        table.add_row(str(size), *errors, *(f"{gain:.2f}" for gain in gains[str(size)].values()))
    Console().print(table)
    exponents = {name: scaling_exponent(curve) for name, curve in curves.items()}
    what = "median relative L2 error at the last time, one call"
    return {"what": what, "rows": rows, "gains": gains, "exponents": exponents}


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("pairs", "transfer"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trajectories", type=int, default=128, help="of `pairs`")
    parser.add_argument("--updates", type=int, default=1000, help="of each run")
    parser.add_argument("--pretraining-updates", type=int, default=3000)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--folder", type=Path, default=Path("runs/poseidon"))
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    study = {"pairs": pairs, "transfer": transfer}[arguments.study]
    command = f"OMP_NUM_THREADS=1 python benchmarks/accuracy/poseidon.py {arguments.study}"
    command += f" --seeds {' '.join(map(str, arguments.seeds))} --updates {arguments.updates}"
    if arguments.study == "transfer":
        command += f" --pretraining-updates {arguments.pretraining_updates}"
    record = study(arguments) | {
        "command": command,
        "threads": torch.get_num_threads(),
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
    }
    out = arguments.out or RESULTS / f"poseidon_{arguments.study}.json"
    made(out.parent)
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
