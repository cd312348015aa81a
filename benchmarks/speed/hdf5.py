"""Time random batches of lazily opened HDF5 files against numpy memory maps of the same numbers.

    OMP_NUM_THREADS=1 python benchmarks/speed/hdf5.py

One thread, page cache warm, batches of 16. The rival knows where every field begins in the
contiguous file and checks nothing: it gathers from memory maps into tensors x and y. All read in
turn, batch by batch, each in an order of its own, so that other load on the machine meets all and
nobody finds another's numbers in the processor's cache. Seconds are the thread's own (no
disk is waited for), their median over an epoch is compared, and only ratios are kept. The first
epoch verifies checksums and looks for NaN; the second touches some pages of the map for the first
time; later ones are all alike, and the third stands for them.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import pdesolve
from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, Window, open_dataset
from pdesolve.datasets.windows import Frames

RESULT = Path(__file__).parents[1] / "results" / "hdf5_speed.json"
BATCH = 16
LAYOUTS = ("contiguous", "chunks", "chunks, fletcher32")
EPOCHS = ("first", "second", "later")


@dataclass(frozen=True)
class Workload:
    """A set, and what of it makes a batch."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    samples: int
    times: int = 1
    window: Frames | None = None

    @property
    def spec(self) -> DatasetSpec:
        fields = [FieldSpec(name, "input") for name in self.inputs]
        fields += [FieldSpec(name, "output", time_varying=True) for name in self.outputs]
        grid, times = Grid(self.shape, 1.0, True), tuple(map(float, range(self.times)))
        return DatasetSpec("numbers", grid, tuple(fields), times)


WORKLOADS = {
    "128 x 128, one field to one": Workload(("a",), ("u",), (128, 128), 500),
    "128 x 128, three fields to two": Workload(("a", "b", "c"), ("u", "v"), (128, 128), 200),
    "1024 points, one field to one": Workload(("a",), ("u",), (1024,), 4000),
    "64 x 64, 20 times, ten frames to ten": Workload((), ("u",), (64, 64), 200, 20, Window(10, 10)),
    "64 x 64, 20 times, one frame of two fields to the next": Workload(
        (), ("u", "v"), (64, 64), 100, 20, Window(1, 1)
    ),
}


def written(folder: Path, work: Workload, layout: str) -> Path:
    """Write the set; every layout holds the same numbers."""
    path, random = folder / f"{layout}.h5", np.random.default_rng(0)
    spec = work.spec
    kept = "contiguous" if layout == "contiguous" else "chunked"
    with DatasetWriter(path, spec, work.samples, provenance={}, layout=kept) as writer:
        for index in range(work.samples):
            shapes = {one.name: spec.stored_shape(one) for one in spec.fields}
            arrays = {name: random.normal(size=shape) for name, shape in shapes.items()}
            writer.write(index, arrays, seed=index)
        writer.finish()
    if layout == "chunks":
        with h5py.File(path, "r+") as file:
            for one in spec.fields:
                without_checksum(file, f"t0_fields/{one.name}")
    return path


def without_checksum(file: h5py.File, place: str) -> None:
    old = file[place]
    values, chunks, attributes = old[()], old.chunks, dict(old.attrs)
    del file[place]
    file.create_dataset(place, data=values, chunks=chunks).attrs.update(attributes)


def rival(work: Workload, path: Path) -> Callable[[np.ndarray], tuple]:
    """Return a function from items to x and y, gathered from memory maps of a contiguous file."""

    def mapped(name: str) -> np.memmap:
        with h5py.File(path) as file:
            data = file[f"t0_fields/{name}"]
            shape = (work.samples * len(data[0]) if work.times > 1 else work.samples, *work.shape)
            return np.memmap(path, data.dtype, "r", data.id.get_offset(), shape)

    inputs, outputs = ([mapped(name) for name in some] for some in (work.inputs, work.outputs))
    if work.window is None:
        return lambda items: (gathered(inputs, items[:, None]), gathered(outputs, items[:, None]))
    inside = np.arange(work.window.inputs + work.window.outputs)
    starts = work.times - len(inside) + 1
    cut = work.window.inputs * len(work.outputs)

    def batch(items: np.ndarray) -> tuple:
        first = items // starts * work.times + items % starts
        both = gathered(outputs, first[:, None] + inside)
        return both[:, :cut], both[:, cut:]

    return batch


def gathered(fields: list[np.memmap], frames: np.ndarray) -> torch.Tensor:
    """Frames (b, k) as a tensor (b, k * fields, *grid), frame by frame."""
    if len(fields) == 1:
        return torch.from_numpy(fields[0][frames])
    values = torch.empty((len(frames), frames.shape[1] * len(fields), *fields[0].shape[1:]))
    for number, field in enumerate(fields):
        values.numpy()[:, number :: len(fields)] = field[frames]
    return values


def one_round(paths: dict[str, Path], work: Workload, gather: Callable, seed: int) -> Iterator:
    """Yield seconds a batch by reader, epoch by epoch."""
    readers = {}
    for layout, path in paths.items():
        readers[layout] = open_dataset(path, window=work.window, in_memory=False)
    readers["in memory"] = open_dataset(path, window=work.window, in_memory=True)
    items = len(readers["in memory"])
    agree(readers, gather, np.random.default_rng(seed).permutation(items)[:BATCH])
    for layout, path in paths.items():  # What `agree` has read was verified: forget it.
        readers[layout] = open_dataset(path, window=work.window, in_memory=False)
        readers[layout].batch([0])
    calls = {"rival": gather} | {name: one.batch for name, one in readers.items()}
    for epoch in range(len(EPOCHS)):
        random = np.random.default_rng([seed, epoch])
        orders = {name: random.permutation(items) for name in calls}
        spent, names = {name: [] for name in calls}, list(calls)
        for start in range(0, items - BATCH + 1, BATCH):
            random.shuffle(names)
            for name in names:
                wanted = orders[name][start : start + BATCH]
                began = time.thread_time()
                calls[name](wanted)
                spent[name].append(time.thread_time() - began)
        yield {name: statistics.median(one) for name, one in spent.items()}


def agree(readers: dict, gather: Callable, items: np.ndarray) -> None:
    x, y = gather(items)
    for name, reader in readers.items():
        batch = reader.batch(items)
        if not (torch.equal(batch.x, x) and torch.equal(batch.y, y)):
            raise SystemExit(f"{name} reads other numbers than the memory map")


def summary(rounds: list[dict], name: str) -> dict:
    ratios = [row[name] / row["rival"] for row in rounds]
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "ratio_median": median,
        "ratio_quartiles": [lower, upper],
        "ratio_range": [min(ratios), max(ratios)],
    }


def measured(work: Workload, count: int) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {layout: written(folder, work, layout) for layout in LAYOUTS}
        gather = rival(work, paths[LAYOUTS[0]])
        list(one_round(paths, work, gather, seed=0))  # Warm-up: caches fill, libraries load.
        rounds = [list(one_round(paths, work, gather, seed)) for seed in range(1, count + 1)]
    by_epoch = dict(zip(EPOCHS, zip(*rounds, strict=True), strict=True))
    readers = [*LAYOUTS, "in memory"]
    return {
        reader: {epoch: summary(rows, reader) for epoch, rows in by_epoch.items()}
        for reader in readers
    } | {"seconds_a_batch": by_epoch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {name: measured(work, arguments.rounds) for name, work in WORKLOADS.items()}
    record = {
        "what": "seconds of Dataset.batch / seconds of gathering the same x and y from numpy "
        "memory maps, 16 random items, float32, page cache warm",
        "command": f"OMP_NUM_THREADS=1 python benchmarks/speed/hdf5.py --rounds {arguments.rounds}",
        "threads": 1,
        "versions": {
            "pdesolve": pdesolve.__version__,
            "torch": torch.__version__,
            "h5py": h5py.__version__,
            "hdf5": h5py.version.hdf5_version,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.machine(),
        "results": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    table = Table("set", "storage", *(f"{epoch} epoch (quartiles)" for epoch in EPOCHS))
    for name, result in results.items():
        for reader in (*LAYOUTS, "in memory"):
            cells = [result[reader][epoch] for epoch in EPOCHS]
            texts = [
                f"{one['ratio_median']:.2f} ({one['ratio_quartiles'][0]:.2f} to "
                f"{one['ratio_quartiles'][1]:.2f})"
                for one in cells
            ]
            table.add_row(name, reader, *texts)
            name = ""
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
