"""PDEgym's netCDF-4 files (the data of Poseidon), read with h5py; chunk files are one set.

    velocity (N, T, 2 | 3, X, Y)    incompressible flow: u, v, tracer
    data (N, T, 5, X, Y)            compressible flow: density, u, v, pressure, tracer
    solution (N, T, c, X, Y)        c = 2: forced flow (u, v), to which its force is added as an
                                    input; 5: as `data`; 6 or more: gas under gravity, whose
                                    potential is channel 5
    solution (N, T, X, Y)           Allen-Cahn; with c (N, X, Y): waves of speed c
    solution (N, 2, X, Y)           flow around an airfoil: its shape, 1 inside, which becomes the
                                    samples' masks too, and density
    source, solution (N, X, Y)      Poisson
    Sample_0 ... with a, u (X, Y), bc    Helmholtz; bc, a number, becomes a constant field

The hub divides a set into NAME_0.nc, NAME_1.nc, ...: give all of them, in any order; their
numbers tell the order. Only the name tells that a set is NS-SL, whose two axes of space are swapped
in the file and put right here. Values stay as they are: no mean pressure is subtracted, nothing is
scaled.

Splits as published, by index: the last N_test samples test, the N_valid before them validate. If
the files do not hold the published number of samples, the same shares of what they hold.

Times are the published ones where the number of frames is; otherwise, and for waves, whose times
are not published, they are frame numbers. The attribute `source_times` says which.

Source: Herde et al. 2024, arXiv:2405.19101, appendix B; camlab-ethz on the Hugging Face hub.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from ...grid import Grid, Placement
from .. import schema
from ..errors import SchemaError
from ..foreign import Foreign
from ..opening import damage_told, open_file
from ..spec import DatasetSpec, FieldSpec
from ..stored import Stored
from .contents import Contents, contents
from .conversion import Part, Samples, provenance, stored_dtype, write_set

FLOW = ("velocity_x", "velocity_y", "tracer")
GAS = ("density", "velocity_x", "velocity_y", "pressure", "tracer")
FORCE = FieldSpec("force", "input", sample_varying=False)
_FACTS = {"citation": "Herde et al. 2024, arXiv:2405.19101", "license": "CC-BY-NC-4.0"}
_CHUNK = re.compile(r"(.*)_(\d+)")
_GROUP = re.compile(r"Sample_(\d+)")


@dataclass(frozen=True)
class Layout:
    """What one kind of set holds.

    Args:
        arrays: data set in the file -> its axes, of "ntcxy".
        channels: names along c; without c, one name for each of the arrays.
        published: numbers of all, validation and test samples.
        inputs: the channels that are inputs.
        frames, final_time: the first frame is at 0, the last of so many at this time; 0 frames
            if that is not published.
        periodic, placement, length: of the square box.
        mask: the field that is each sample's mask; see `DatasetWriter`.
        force: A of the force A sin 2π(x + y), one for all samples and not in the file; 0 is none.
    """

    arrays: Mapping[str, str]
    channels: tuple[str, ...]
    published: tuple[int, int, int]
    inputs: tuple[str, ...] = ()
    frames: int = 21
    final_time: float = 1.0
    periodic: bool = False
    placement: Placement = "node"
    length: float = 1.0
    mask: str | None = None
    force: float = 0.0


FLUID = Layout({"velocity": "ntcxy"}, FLOW, (20000, 120, 240), periodic=True)
SHEAR = replace(FLUID, arrays={"velocity": "ntcyx"}, published=(40000, 120, 240))
FORCED = replace(FLUID, arrays={"solution": "ntcxy"}, channels=FLOW[:2], force=0.1)
EULER = Layout({"data": "ntcxy"}, GAS, (10000, 120, 240), periodic=True, placement="cell")
RICHTMYER = replace(EULER, arrays={"solution": "ntcxy"}, published=(1260, 100, 130), final_time=2.0)
GRAVITY = replace(RICHTMYER, channels=(), frames=11, final_time=5.0, periodic=False)
WAVE = Layout({"c": "nxy", "solution": "ntxy"}, ("c", "u"), (10512, 60, 240), ("c",), 0)
ALLEN_CAHN = Layout({"solution": "ntxy"}, ("u",), (15000, 60, 240), (), 20, 2e-4)
AIRFOIL = Layout(
    {"solution": "ncxy"},
    ("shape", "density"),
    (10869, 120, 240),
    ("shape",),
    1,
    0.0,
    length=2.5,
    mask="~shape",
)
POISSON = Layout(
    {"source": "nxy", "solution": "nxy"},
    ("source", "solution"),
    (20000, 120, 240),
    ("source",),
    1,
    0.0,
)
HELMHOLTZ = Layout(
    {"a": "xy", "bc": "xy", "u": "xy"},
    ("a", "bc", "u"),
    (19675, 128, 512),
    ("a", "bc"),
    1,
    0.0,
)


def detects(path: str | Path) -> str | None:
    """Return None if the file has one of these layouts, otherwise why not."""
    found = contents(path)
    if found is None:
        return f"{Path(path).name} is no HDF5 file"
    layout = _layout(found, Path(path))
    return layout if isinstance(layout, str) else None


def convert(paths: Sequence[str | Path], output_folder: str | Path) -> list[Path]:
    """Convert the file of one set, or all of its chunk files.

    Args:
        paths: the files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,valid,test}/NAME.h5.

    Raises:
        SchemaError: chunks are missing, given twice or of other shapes.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), _ordered([Path(path) for path in paths])
    with ExitStack() as stack:
        sources = [_source(file, stack.enter_context(open_file(file))) for file in files]
        samples = _joined(folder.name, files, sources)
        splits = _splits(samples.count, sources[0].layout.published)
        return write_set(
            folder, [Part(name, folder.name, samples, rows) for name, rows in splits.items()]
        )


def opened(paths: Sequence[str | Path], split: str | None) -> list[Foreign]:
    """Describe the file of one set, or all of its chunk files, for reading where they lie.

    Args:
        paths: the files.
        split: None is all samples.

    Raises:
        SchemaError: as `convert`; Helmholtz has a group for each sample, and must be converted.
    """
    files, described = _ordered([Path(path) for path in paths]), []
    with ExitStack() as stack:
        sources = [_source(file, stack.enter_context(open_file(file))) for file in files]
    layout, count = sources[0].layout, _check_alike(files, sources)
    if layout is HELMHOLTZ:
        raise SchemaError(
            "a group for each sample",
            file=files[0],
            advice="convert it with `pdesolve data convert FILE`",
        )
    spec, told = _spec(files[0].parent.name or "pdegym", sources[0], files[0])
    rows = _splits(count, layout.published)[split] if split else range(count)
    fixed = {schema.location(FORCE): field for field in _force(layout, spec.grid).values()}
    start = 0
    for file, source in zip(files, sources, strict=True):
        here = range(*(min(max(edge - start, 0), source.count) for edge in (rows.start, rows.stop)))
        facts, none = {**_FACTS, "source_times": told}, np.empty((source.count, 0))
        if here:
            masks = {schema.MASK: _masks(file, layout, here)} if layout.mask else {}
            described.append(
                Foreign(file, spec, facts, _stored(layout), source.dtype, none, here, fixed | masks)
            )
        start += source.count
    return described


def _masks(file: Path, layout: Layout, rows: range) -> np.ndarray:
    """Where samples around an airfoil are, (n, x, y): outside its shape."""
    where = _stored(layout)["shape"]
    with open_file(file) as handle, damage_told(file, where.place):
        data = schema.dataset(handle, where.place)
        read = (data[k, where.part] for k in rows)
        return np.stack([(shape <= 0.5).astype("u1") for shape in read])


def _layout(found: Contents, file: Path) -> Layout | str:
    """The layout of a file, or why it has none of these."""
    shapes = found.shapes
    if found.groups and _GROUP.fullmatch(found.groups[0]):
        needed = {f"{found.groups[0]}/{name}" for name in ("a", "u", "bc")}
        return HELMHOLTZ if needed <= set(shapes) else "groups Sample_k without `a`, `u`, `bc`"
    rank = {name: len(shape) for name, shape in shapes.items()}
    if rank.get("velocity") == 5 and shapes["velocity"][2] in (2, 3) and "force" not in rank:
        kind = SHEAR if "NS-SL" in file.name or "NS-SL" in file.parent.name else FLUID
        return replace(kind, channels=FLOW[: shapes["velocity"][2]])
    if rank.get("data") == 5 and shapes["data"][2] == 5:
        return EULER
    if rank.get("source") == rank.get("solution") == 3:
        return POISSON
    if rank.get("solution") == 4:
        if rank.get("c") == 3:
            return WAVE
        return AIRFOIL if shapes["solution"][1] == 2 else ALLEN_CAHN
    channels = shapes["solution"][2] if rank.get("solution") == 5 else 0
    if channels >= 6:
        unnamed = tuple(f"channel_{k}" for k in range(6, channels))
        return replace(GRAVITY, channels=(*GAS[:4], "channel_4", "potential", *unnamed))
    known = {2: FORCED, 5: RICHTMYER}
    return known.get(channels, "no `velocity`, `data`, `solution` of PDEgym, no group Sample_0")


def _ordered(files: list[Path]) -> list[Path]:
    """Chunk files by their numbers, which must be 0, 1, 2, ...

    By number, not by name: velocity_10 comes after velocity_9.
    """
    if len(files) == 1:
        return files
    named = {file: _CHUNK.fullmatch(file.stem) for file in files}
    numbers = {file: int(match[2]) for file, match in named.items() if match}
    sets = {match[1] if match else "" for match in named.values()}
    if sorted(numbers.values()) != list(range(len(files))) or len(sets) > 1:
        raise SchemaError(
            f"chunks {[file.name for file in files]}",
            file=files[0].parent,
            allowed=f"NAME_0 to NAME_{len(files) - 1} of one set, each once",
            advice="give all chunk files of the set",
        )
    return sorted(files, key=lambda file: numbers[file])


@dataclass(frozen=True)
class _Source:
    """One file: its samples by data set, and the shape and dtype of one of them."""

    layout: Layout
    count: int
    shapes: dict[str, tuple[int, ...]]
    dtype: np.dtype
    read: Callable[[slice], dict[str, np.ndarray]]


def _source(file: Path, handle: h5py.File) -> _Source:
    found = contents(file)
    layout = _layout(found, file) if found else "no HDF5 file"
    if isinstance(layout, str):
        raise SchemaError(layout, file=file)
    with damage_told(file):
        if layout is HELMHOLTZ:
            return _groups(file, handle, layout)
        return _arrays(file, handle, layout)


def _arrays(file: Path, handle: h5py.File, layout: Layout) -> _Source:
    data = {name: schema.dataset(handle, name) for name in layout.arrays}
    counts = {name: one.shape[0] for name, one in data.items()}
    if len(set(counts.values())) > 1:
        raise SchemaError(f"numbers of samples {counts}", file=file, allowed="the same for all")

    def read(rows: slice) -> dict[str, np.ndarray]:
        values = {}
        for name, one in data.items():
            with damage_told(file, f"{name}, samples {rows.start} to {rows.stop - 1}"):
                values[name] = one[rows]
        return values

    shapes = {name: one.shape[1:] for name, one in data.items()}
    dtype = stored_dtype(*(one.dtype for one in data.values()))
    return _Source(layout, next(iter(counts.values())), shapes, dtype, read)


def _groups(file: Path, handle: h5py.File, layout: Layout) -> _Source:
    found = [match for name in handle if (match := _GROUP.fullmatch(str(name)))]
    # By number: Sample_10 comes after Sample_9.
    names = [match[0] for match in sorted(found, key=lambda match: int(match[1]))]

    def one(name: str, key: str) -> h5py.Dataset:
        return schema.dataset(handle, f"{name}/{key}")

    def read(rows: slice) -> dict[str, np.ndarray]:
        with damage_told(file, f"{names[rows.start]} to {names[rows.stop - 1]}"):
            # The value on the walls becomes a field like the others.
            return {
                key: np.stack([np.broadcast_to(one(name, key)[()], shape) for name in names[rows]])
                for key, shape in shapes.items()
            }

    shapes = {key: one(names[0], key).shape for key in ("a", "u")}
    wrong = [
        f"{name}/{key} has shape {one(name, key).shape}"
        for name in names
        for key, shape in {**shapes, "bc": ()}.items()
        if one(name, key).shape != shape
    ]
    if wrong:
        raise SchemaError("; ".join(wrong), file=file, allowed=f"{shapes}, bc one number")
    dtype = stored_dtype(*(one(names[0], key).dtype for key in ("a", "u")))
    shapes["bc"] = shapes["a"]
    return _Source(layout, len(names), shapes, dtype, read)


def _check_alike(files: Sequence[Path], sources: Sequence[_Source]) -> int:
    """Number of samples in all files, which must hold the same fields."""
    first = sources[0]
    for file, other in zip(files, sources, strict=True):
        if (other.layout, other.shapes, other.dtype) != (first.layout, first.shapes, first.dtype):
            raise SchemaError(
                f"samples of {other.shapes}, {other.dtype}",
                file=file,
                allowed=f"{first.shapes}, {first.dtype} as in {files[0].name}",
            )
    return sum(source.count for source in sources)


def _stored(layout: Layout) -> dict[str, Stored]:
    """Where the fields lie."""
    found, channels = {}, iter(layout.channels)
    for place, letters in layout.arrays.items():
        if "c" in letters:
            found |= {name: Stored(place, letters, part) for part, name in enumerate(channels)}
        else:
            found[next(channels)] = Stored(place, letters)
    return found


def _joined(name: str, files: Sequence[Path], sources: Sequence[_Source]) -> Samples:
    """The samples of all chunks as those of one source."""
    _check_alike(files, sources)
    first = sources[0]
    starts = np.cumsum([0, *(source.count for source in sources)]).tolist()
    spec, told = _spec(name, first, files[0])

    def read(rows: slice) -> dict[str, np.ndarray]:
        pieces = [
            source.read(slice(max(rows.start - start, 0), min(rows.stop - start, source.count)))
            for source, start in zip(sources, starts, strict=False)
            if start < rows.stop and rows.start < start + source.count
        ]
        whole = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
        return _named(first.layout, whole)

    made = provenance(files, **_FACTS, source_times=told)
    force = _force(first.layout, spec.grid)
    return Samples(spec, starts[-1], first.dtype, read, made, force, first.layout.mask)


def _force(layout: Layout, grid: Grid) -> dict[str, np.ndarray]:
    """The force of a layout, by its name."""
    if not layout.force:
        return {}
    x, y = grid.coordinates().numpy()
    return {FORCE.name: layout.force * np.sin(2 * np.pi * (x + y))}


def _spec(name: str, source: _Source, file: Path) -> tuple[DatasetSpec, str]:
    layout = source.layout
    sizes = [
        dict(zip(axes.removeprefix("n"), source.shapes[key], strict=True))
        for key, axes in layout.arrays.items()
    ]
    points = {(one["x"], one["y"]) for one in sizes}
    if len(points) > 1:
        raise SchemaError(f"points {sorted(points)}", file=file, allowed="the same for all fields")
    frames = max(one.get("t", 1) for one in sizes)
    published = frames == layout.frames
    times = np.linspace(0, layout.final_time, frames) if published else np.arange(frames)
    spec = DatasetSpec(
        name,
        Grid(points.pop(), layout.length, layout.periodic, layout.placement),
        tuple(
            FieldSpec(one, "input") if one in layout.inputs
            else FieldSpec(one, "output", time_varying=True)
            for one in layout.channels
        ) + ((FORCE,) if layout.force else ()),
        tuple(times.astype("float32").tolist()),
    )  # fmt: skip
    return spec, "as published" if published else "frame numbers"


def _named(layout: Layout, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fields by channel name, axes (n, [t,] x, y), and what is left by its own name."""
    named: dict[str, np.ndarray] = {}
    channels = iter(layout.channels)
    for key, axes in layout.arrays.items():
        array = values[key].swapaxes(-1, -2) if axes.endswith("yx") else values[key]
        if "c" in axes:
            place = axes.index("c")
            named |= {one: array.take(k, place) for k, one in enumerate(channels)}
        else:
            named[next(channels)] = array
    return named


def _splits(count: int, published: tuple[int, int, int]) -> dict[str, range]:
    whole, valid, test = published
    if count != whole:
        valid, test = count * valid // whole, count * test // whole
    return {
        "train": range(count - valid - test),
        "valid": range(count - valid - test, count - test),
        "test": range(count - test, count),
    }
