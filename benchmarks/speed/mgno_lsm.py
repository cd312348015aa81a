"""Time a training step of MgNO and of LSM against the published code.

    OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/mgno_lsm.py

64 x 64 points, one thread: forward, backward and a step of the same fused Adam, both sides with the
same weights and in turn within a round, so that other load on the machine meets both. Times are
processor times of the thread; only ratios are kept. FOLDER holds MgNO (xlliu2017/MgNO, commit
3a68a90) and Latent-Spectral-Models (thuml/Latent-Spectral-Models, commit d5a0b40); what is absent
is skipped with the reason. Ours has the right prolongation on the torus for Navier-Stokes.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import pdesolve
from pdesolve.operators import LSM, MgNO

RESULT = Path(__file__).parents[1] / "results" / "mgno_lsm_speed.json"
POINTS = 64
# The defaults of the published scripts.
LEVELS = [[1, 0], [1, 0], [1, 0], [2, 0], [2, 0]]
DARCY = {"num_layer": 5, "num_channel_u": 24, "num_channel_f": 1, "num_classes": 1,
         "num_iteration": LEVELS}  # fmt: skip
FLOW = DARCY | {"num_channel_u": 32, "bias": True}
LATENT = {"in_dim": 1, "out_dim": 1, "d_model": 32, "num_token": 4, "num_basis": 12,
          "patch_size": "4,4", "padding": "0,0"}  # fmt: skip
TARGETS = {"mgno_darcy": 1.2, "mgno_navier_stokes": 1.2, "lsm": 1.1}
# Official model, ours, and the input of each.
Pair = tuple[nn.Module, nn.Module, Tensor, Tensor]


def official(path: Path) -> ModuleType:
    """Return a module of the published code, without what it imports for logs and data."""
    for name in ("torchinfo", "utilities3"):
        sys.modules.setdefault(name, SimpleNamespace(summary=None, count_params=None))  # pyright: ignore
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mgno_darcy(folder: Path) -> Pair:
    theirs = official(folder / "MgNO" / "models.py").MgNO_DC(**DARCY)
    ours = MgNO.from_official(theirs.state_dict(), variant="MgNO_DC", **DARCY)
    x = torch.randn(8, 1, POINTS, POINTS)
    return theirs, ours, x, x


def mgno_navier_stokes(folder: Path) -> Pair:
    theirs = official(folder / "MgNO" / "models.py").MgNO_NS(**FLOW)
    ours = MgNO.navier_stokes()
    as_published = MgNO.from_official(theirs.state_dict(), variant="MgNO_NS", **FLOW)
    ours.load_state_dict(as_published.state_dict())
    x = torch.randn(8, 1, POINTS, POINTS)
    return theirs, ours, x, x


def lsm(folder: Path) -> Pair:
    module = official(folder / "Latent-Spectral-Models" / "models" / "LSM_2D.py")
    to_gpu = Tensor.cuda
    # Its constructor moves constants to a GPU that need not be there.
    Tensor.cuda = lambda self, *_, **__: self  # pyright: ignore
    try:
        theirs = module.Model(SimpleNamespace(**LATENT))
    finally:
        Tensor.cuda = to_gpu
    ours = LSM.from_official(theirs.state_dict(), variant="LSM_2D", **LATENT)
    x = torch.randn(4, POINTS, POINTS, 1)
    return theirs, ours, x, x.movedim(-1, 1).contiguous()


def stepper(model: nn.Module, x: Tensor) -> Callable[[], float]:
    """Return a function that takes a training step and returns its processor seconds."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        start = time.thread_time()
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        return time.thread_time() - start

    return step


def race(pair: Callable[[Path], Pair], folder: Path | None, rounds: int) -> dict:
    if folder is None or not folder.is_dir():
        return {"skipped": "PDESOLVE_PEERS is not set to a folder"}
    try:
        theirs, ours, x, own_x = pair(folder)
    except FileNotFoundError as error:
        return {"skipped": f"no {error.filename}"}
    their_step, own_step = stepper(theirs, x), stepper(ours, own_x)
    for _ in range(2):
        their_step(), own_step()
    seconds = [(their_step(), own_step()) for _ in range(rounds)]
    ratios = [a / b for a, b in seconds]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "batch": len(x),
        "parameters": sum(p.numel() for p in ours.parameters()),
        "ratio": median,
        "quartiles": [lower, upper],
        "range": [min(ratios), max(ratios)],
        "target": TARGETS[pair.__name__],
    }


def record_of(rows: dict, rounds: int) -> dict:
    return {
        "what": "processor seconds of the published code / ours, one training step, one thread",
        "command": "OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python "
        f"benchmarks/speed/mgno_lsm.py --rounds {rounds}",
        "problem": {"points": [POINTS, POINTS], "dtype": "float32", "rounds": rounds,
                    "mgno_darcy": DARCY, "mgno_navier_stokes": FLOW, "lsm": LATENT},
        "peers": {"MgNO": "xlliu2017/MgNO 3a68a90",
                  "LSM": "thuml/Latent-Spectral-Models d5a0b40"},
        "versions": {"pdesolve": pdesolve.__version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "machine": platform.machine(),
        "rows": rows,
    }  # fmt: skip


def show(rows: dict) -> None:
    table = Table("step of", "times faster", "quartiles", "target")
    for name, row in rows.items():
        if "skipped" in row:
            table.add_row(name, row["skipped"], "", "")
            continue
        low, high = row["quartiles"]
        table.add_row(name, f"{row['ratio']:.2f}", f"{low:.2f} to {high:.2f}", f"{row['target']:g}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = Path(os.environ["PDESOLVE_PEERS"]) if "PDESOLVE_PEERS" in os.environ else None
    pairs = (mgno_darcy, mgno_navier_stokes, lsm)
    rows = {pair.__name__: race(pair, folder, arguments.rounds) for pair in pairs}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record_of(rows, arguments.rounds), indent=1) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
