"""Time `SpectralConv` and whole FNO and TFNO steps against neuraloperator 2.0.0.

    OMP_NUM_THREADS=1 python benchmarks/speed/spectral_layer.py
    python benchmarks/speed/spectral_layer.py --device cuda

Both sides run in turn with the same weights and the same fields in one process, so that other load
on the machine meets both: only ratios are kept, and a median of 15 rounds with its quartiles. Each
side gets the memory format that it prefers, channels-last fields here and contiguous ones there;
then both get contiguous ones. CPU times are processor times of the one thread, since a shared
machine takes its turns (ratios of elapsed time stand beside them); GPU times are those of CUDA
events. Shapes, seeds and bounds were fixed before anything was tuned. A case falls below its bound
only if its upper quartile does.
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import pdesolve
from pdesolve.layers import SpectralConv
from pdesolve.operators import TFNO
from pdesolve.ops.memory import to_channels_last

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from neuralop.layers.spectral_convolution import SpectralConv as PeerConv
    from neuralop.models import FNO as PeerFNO

RESULT = Path(__file__).parents[1] / "results" / "spectral_layer_speed.json"
SHORTEST = 0.02  # seconds of one measurement; shorter calls are repeated
BATCH = {64: 8, 128: 4, 256: 4}  # points per axis: samples
# (points per axis, modes per axis, channels)
DENSE = [(n, m, c) for n in (64, 128, 256) for m in (16, 24, 32) for c in (32, 64)]
TUCKER = [(n, 32, c, rank) for n in (64, 128) for c in (32, 64) for rank in (0.05, 0.1)]
STEPS = [(n, 32, c) for n in (64, 128) for c in (32, 64)]
TUCKER_STEP_RANK = 0.1
Call = Callable[[], object]


@dataclass(frozen=True)
class Bound:
    """Least geometric mean of a group of ratios, and least ratio of each case."""

    mean: float | None
    each: float | None


BOUNDS = {
    "dense forward+backward, preferred formats": Bound(2.5, 1.6),
    "dense forward, preferred formats": Bound(1.8, 1.3),
    "dense forward+backward, contiguous": Bound(1.4, 1.1),
    "dense forward, contiguous": Bound(None, None),
    "tucker forward+backward against factorized": Bound(1.3, 1.3),
    "tucker forward+backward against reconstructed": Bound(2.0, 2.0),
    "tucker forward against factorized": Bound(None, None),
    "tucker forward against reconstructed": Bound(None, None),
    "FNO step": Bound(1.3, 1.3),
    "TFNO step": Bound(1.0, 1.0),
}
ERROR_BOUND = 1e-6


class Clock:
    """Seconds of a call: of the processor and elapsed, or of the GPU."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"

    def __call__(self, call: Call, repeats: int) -> tuple[float, float]:
        if self.cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(repeats):
                call()
            end.record()
            end.synchronize()
            seconds = start.elapsed_time(end) / 1000
            return seconds, seconds
        elapsed, processor = time.perf_counter(), time.thread_time()
        for _ in range(repeats):
            call()
        return time.thread_time() - processor, time.perf_counter() - elapsed


def race(
    ours: dict[str, Call], peers: dict[str, Call], rounds: int, clock: Clock
) -> dict[str, dict[str, dict]]:
    """Return ratios peer / ours of each pair, all measured in turn: {ours: {peer: ratio}}."""
    calls = ours | peers
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, round(SHORTEST / max(clock(call, 1)[0], 1e-6)))
    seconds = []
    for _ in range(rounds):
        seconds.append(
            {n: [t / repeats[n] for t in clock(c, repeats[n])] for n, c in calls.items()}
        )
    return {
        mine: {
            peer: spread([s[peer][0] / s[mine][0] for s in seconds])
            | {"elapsed": spread([s[peer][1] / s[mine][1] for s in seconds]),
               "our_seconds": statistics.median(s[mine][0] for s in seconds)}
            for peer in peers
        }
        for mine in ours
    }  # fmt: skip


def spread(ratios: list[float]) -> dict[str, object]:
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {"median": median, "quartiles": [lower, upper], "range": [min(ratios), max(ratios)]}


def forward(layer: nn.Module, x: Tensor) -> Call:
    def call() -> None:
        with torch.no_grad():
            layer(x)

    return call


def forward_backward(layer: nn.Module, x: Tensor, probe: Tensor) -> Call:
    x = x.detach().requires_grad_()

    def call() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).backward(probe)

    return call


def step(model: nn.Module, x: Tensor, target: Tensor) -> Call:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def call() -> None:
        optimizer.zero_grad(set_to_none=True)
        (model(x) - target).square().mean().backward()
        optimizer.step()

    return call


def fields(points: int, channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return an input and a probe of the output's gradient."""
    generator = torch.Generator().manual_seed(points + channels)
    shape = (BATCH[points], channels, points, points)
    return tuple(torch.randn(shape, generator=generator).to(device) for _ in range(2))


def layers(
    modes: int, channels: int, rank: float | None, device: torch.device
) -> tuple[SpectralConv, dict[str, nn.Module]]:
    """Return our layer and the peer's with the same weights."""
    torch.manual_seed(0)
    ours = SpectralConv(channels, channels, (modes, modes), rank)
    forms = (
        {"dense": {}}
        if rank is None
        else {n: {"implementation": n} for n in ("factorized", "reconstructed")}
    )
    peers = {}
    for name, form in forms.items():
        options = {} if rank is None else {"factorization": "Tucker", "rank": rank}
        peers[name] = PeerConv(channels, channels, (modes, modes), **options, **form)
        peers[name].load_state_dict(ours.to_neuraloperator())
        peers[name].to(device)
    return ours.to(device), peers


def errors(ours: SpectralConv, peers: dict[str, nn.Module], x: Tensor) -> dict[str, float]:
    """Return relative L2 errors of one sample against the layer with FFTs in float64."""
    x = x[:1]
    with torch.no_grad():
        wide = SpectralConv.from_neuraloperator(
            ours.to_neuraloperator(),
            in_channels=ours.in_channels, out_channels=ours.out_channels, modes=ours.modes,
        ).double().cpu()  # fmt: skip
        wide.transform = "fft"
        truth = wide(x.cpu().double())
        found = {"ours": ours(to_channels_last(x)), "ours, contiguous": ours(x)}
        found |= {name: peer(x) for name, peer in peers.items()}
        size = torch.linalg.vector_norm(truth)
        return {
            n: float(torch.linalg.vector_norm(y.cpu() - truth) / size) for n, y in found.items()
        }


def race_layers(
    points: int, modes: int, channels: int, rank: float | None, rounds: int, device: torch.device
) -> dict:
    """Return ratios and errors of one size of layer."""
    clock = Clock(device)
    ours, peers = layers(modes, channels, rank, device)
    x, probe = fields(points, channels, device)
    own = to_channels_last(x), to_channels_last(probe)
    mine = {"forward+backward": forward_backward(ours, *own)}
    if rank is None:
        mine["forward+backward, contiguous"] = forward_backward(ours, x, probe)
    theirs = {n: forward_backward(p, x, probe) for n, p in peers.items()}
    groups = race(mine, theirs, rounds, clock)
    mine = {"forward": forward(ours, own[0])}
    if rank is None:
        mine["forward, contiguous"] = forward(ours, x)
    groups |= race(mine, {n: forward(p, x) for n, p in peers.items()}, rounds, clock)
    return {
        "points": points, "modes": modes, "channels": channels, "rank": rank,
        "samples": BATCH[points], "times_faster": groups, "errors": errors(ours, peers, x),
    }  # fmt: skip


def race_steps(
    points: int, modes: int, channels: int, rank: float | None, rounds: int, device: torch.device
) -> dict:
    """Return ratios of one training step of whole models, loss and AdamW included."""
    torch.manual_seed(0)
    ours = TFNO(1, 1, (modes, modes), channels, rank=rank).to(device)
    options = {} if rank is None else {"factorization": "Tucker", "rank": rank}
    peer = PeerFNO((modes, modes), 1, 1, channels, **options).to(device)
    x, target = (t[:, :1].contiguous() for t in fields(points, 2, device))
    # The steps change the weights of both, but not what a step costs.
    mine, theirs = step(ours, x, target), step(peer, x, target)
    found = race({"ours": mine}, {"peer": theirs}, rounds, Clock(device))
    return {
        "points": points, "modes": modes, "channels": channels, "rank": rank,
        "samples": BATCH[points], "times_faster": found["ours"]["peer"],
        "parameters": sum(p.numel() for p in ours.parameters()),
    }  # fmt: skip


def groups_of(record: dict) -> dict[str, list[tuple[str, dict]]]:
    """Return (case, ratio) of each bound's group."""
    groups: dict[str, list[tuple[str, dict]]] = {name: [] for name in BOUNDS}
    for row in record["layers"]:
        kinds = row["times_faster"]
        if row["rank"] is None:
            for kind, found in kinds.items():
                group = f"dense {kind}" + ("" if "contiguous" in kind else ", preferred formats")
                groups[group].append((name_of(row), found["dense"]))
        else:
            for kind, found in kinds.items():
                for peer, ratio in found.items():
                    groups[f"tucker {kind} against {peer}"].append((name_of(row), ratio))
    for row in record["steps"]:
        group = "FNO step" if row["rank"] is None else "TFNO step"
        groups[group].append((name_of(row), row["times_faster"]))
    return {name: cases for name, cases in groups.items() if cases}


def name_of(row: dict) -> str:
    size = f"{row['points']}², modes {row['modes']}, width {row['channels']}"
    return size if row["rank"] is None else f"{size}, rank {row['rank']}"


def verdicts(record: dict) -> dict[str, dict]:
    """Return geometric means with their bounds, and the cases below theirs."""
    result = {}
    for name, cases in groups_of(record).items():
        bound = BOUNDS[name]
        mean = statistics.geometric_mean(ratio["median"] for _, ratio in cases)
        upper = statistics.geometric_mean(ratio["quartiles"][1] for _, ratio in cases)
        lowest = min(cases, key=lambda case: case[1]["median"])
        below = [case for case, ratio in cases if bound.each and ratio["quartiles"][1] < bound.each]
        result[name] = {
            "geometric_mean": mean, "bound": bound.mean, "lowest": lowest[1]["median"],
            "lowest_case": lowest[0], "bound_of_each": bound.each, "below": below,
            "holds": not below and (bound.mean is None or upper >= bound.mean),
        }  # fmt: skip
    largest = max(
        (max(r["errors"]["ours"], r["errors"]["ours, contiguous"]) for r in record["layers"]),
        default=0,
    )
    result["error against float64"] = {
        "largest": largest, "bound": ERROR_BOUND, "holds": largest <= ERROR_BOUND,
    }  # fmt: skip
    return result


def show(record: dict) -> None:
    console = Console(width=130)
    table = Table("case", "times faster", "quartiles", "elapsed")
    for name, cases in groups_of(record).items():
        table.add_section()
        verdict = record["verdicts"][name]
        bounds = f"(bound {verdict['bound']}, each {verdict['bound_of_each']})"
        state = "holds" if verdict["holds"] else "FALLS SHORT"
        table.add_row(f"[b]{name}", f"[b]{verdict['geometric_mean']:.2f}", bounds, state)
        for case, ratio in cases:
            low, high = ratio["quartiles"]
            elapsed = f"{ratio['elapsed']['median']:.2f}"
            table.add_row(case, f"{ratio['median']:.2f}", f"{low:.2f} to {high:.2f}", elapsed)
    console.print(table)
    console.print(f"error against float64: {record['verdicts']['error against float64']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=["dense", "tucker", "steps"], help="part of the table")
    parser.add_argument("--points", type=int, nargs="*", help="these sizes of grids only")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    rounds, only = arguments.rounds, arguments.only
    record = {
        "what": "seconds of neuraloperator 2.0.0 / seconds of pdesolve, one thread",
        "command": f"OMP_NUM_THREADS=1 python benchmarks/speed/spectral_layer.py --device {device}",
        "rounds": rounds,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.machine(),
        "versions": {"pdesolve": pdesolve.__version__, "torch": torch.__version__,
                     "python": platform.python_version()},
        "layers": [],
        "steps": [],
    }  # fmt: skip
    sizes = [(*s, None) for s in DENSE] if only in (None, "dense") else []
    sizes += TUCKER if only in (None, "tucker") else []
    steps = [(*s, r) for s in STEPS for r in (None, TUCKER_STEP_RANK)]
    for size in [s for s in sizes if not arguments.points or s[0] in arguments.points]:
        record["layers"].append(race_layers(*size, rounds, device))
    steps = [s for s in steps if not arguments.points or s[0] in arguments.points]
    for size in steps if only in (None, "steps") else []:
        record["steps"].append(race_steps(*size, rounds, device))
    record["verdicts"] = verdicts(record)
    show(record)
    suffix = "" if device.type == "cpu" else f"_{device.type}"
    out = arguments.out or RESULT.with_stem(RESULT.stem + suffix)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
