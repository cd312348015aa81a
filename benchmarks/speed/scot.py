"""Time a training step and a prediction of `ScOT` against Poseidon's published code.

    OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/scot.py

FOLDER/poseidon holds camlab-ethz/poseidon; its model needs transformers 4.29.2 in the environment.
Size T, four channels, 128 x 128 points, float32, one thread, the same weights in both. A step is
gradient, loss and AdamW. Both run in turn within a round, so that other load on the machine meets
both: only ratios are kept, of processor times of the thread; ratios of elapsed time stand beside.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve.losses import GroupedRelativeL1
from pdesolve.operators import ScOT

RESULT = Path(__file__).parents[1] / "results" / "scot_speed.json"
BOUND = 1.05
GROUPS = (1, 2, 1)
# Size T as published.
CONFIG = {
    "image_size": 128, "patch_size": 4, "num_channels": 4, "num_out_channels": 4, "embed_dim": 48,
    "depths": [4, 4, 4, 4], "num_heads": [3, 6, 12, 24], "skip_connections": [2, 2, 2, 0],
    "window_size": 16, "mlp_ratio": 4.0, "drop_path_rate": 0.0, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "use_conditioning": True, "p": 1,
    "channel_slice_list_normalized_loss": [0, 1, 3, 4], "residual_model": "convnext",
    "learn_residual": False,
}  # fmt: skip


def peer() -> Any:
    """Return the published model, or why it is not there."""
    folder = os.environ.get("PDESOLVE_PEERS")
    if not folder or not (Path(folder) / "poseidon").is_dir():
        return "PDESOLVE_PEERS names no folder with poseidon in it"
    sys.path.insert(0, str(Path(folder) / "poseidon"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from scOT.model import ScOT as Published
            from scOT.model import ScOTConfig
    except ImportError as error:
        return f"poseidon cannot be imported ({error}): install transformers==4.29.2"
    return Published(ScOTConfig(**CONFIG))


def spent(work: Callable[[], Any]) -> tuple[float, float]:
    """Processor time of this thread and elapsed time, in seconds."""
    before = time.thread_time(), time.perf_counter()
    work()
    return time.thread_time() - before[0], time.perf_counter() - before[1]


def steps(published: Any, ours: ScOT, batch: int) -> tuple[Callable, Callable, Callable, Callable]:
    """A step of both, then a prediction of both."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, batch, 4, 128, 128, generator=generator)
    t = torch.rand(batch, generator=generator)
    loss = GroupedRelativeL1(GROUPS, reduction="batch", official=True)
    optimizers = [torch.optim.AdamW(model.parameters(), 1e-5) for model in (published, ours)]

    def their_step() -> None:
        published.train()
        optimizers[0].zero_grad()
        published(x, t, labels=y).loss.backward()
        optimizers[0].step()

    def our_step() -> None:
        ours.train()
        optimizers[1].zero_grad()
        loss(ours(x, t[:, None]), y).backward()
        optimizers[1].step()

    @torch.no_grad()
    def their_prediction() -> torch.Tensor:
        return published.eval()(x, t).output

    @torch.no_grad()
    def our_prediction() -> torch.Tensor:
        return ours.eval()(x, t[:, None])

    return their_step, our_step, their_prediction, our_prediction


def summary(ratios: list[tuple[float, float]]) -> dict:
    by_processor, by_clock = (list(column) for column in zip(*ratios, strict=True))
    lower, median, upper = statistics.quantiles(by_processor, n=4, method="inclusive")
    return {
        "ratio_median": median,
        "ratio_quartiles": [lower, upper],
        "ratio_of_elapsed_times_median": statistics.median(by_clock),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    published = peer()
    if isinstance(published, str):
        Console().print(f"skipped: {published}")
        return
    ours = ScOT.from_official(published.state_dict(), variant="T")
    works = steps(published, ours, arguments.batch)
    difference = float((works[2]() - works[3]()).abs().max())
    for work in works:
        work()  # Warm-up.
    rows: dict[str, list[tuple[float, float]]] = {"step": [], "prediction": []}
    for _ in range(arguments.rounds):
        for name, (theirs, our) in zip(rows, (works[:2], works[2:]), strict=True):
            pair = spent(theirs), spent(our)
            rows[name].append((pair[1][0] / pair[0][0], pair[1][1] / pair[0][1]))
    results = {name: summary(ratios) for name, ratios in rows.items()}
    import transformers

    record = {
        "what": "time of ScOT over that of the published code, processor time of one thread",
        "command": "OMP_NUM_THREADS=1 PDESOLVE_PEERS=FOLDER python benchmarks/speed/scot.py "
        f"--rounds {arguments.rounds} --batch {arguments.batch}",
        "problem": "size T, 4 channels, 128 x 128, float32",
        "bound": BOUND,
        "largest_difference_of_outputs": difference,
        "threads": 1,
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "results": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("work", "share of the published code's time", "quartiles", "of elapsed time")
    for name, row in results.items():
        low, high = row["ratio_quartiles"]
        elapsed = f"{row['ratio_of_elapsed_times_median']:.2f}"
        table.add_row(name, f"{row['ratio_median']:.2f}", f"{low:.2f} to {high:.2f}", elapsed)
    Console().print(table)


if __name__ == "__main__":
    main()
