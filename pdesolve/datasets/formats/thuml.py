"""The deformed-mesh sets of the neural solver library: pipe and airfoil (.npy), plasticity (.mat).

    NAME_X, NAME_Y (N, n, m)    positions of the points of a curved, structured mesh
    NAME_Q (N, c, n, m)         what was solved for; the published task learns one channel of it:
                                0, a velocity, of the pipe; 4, the Mach number, of the airfoil,
                                which is told by having 5 channels or more
    input (N, n), output (N, n, m, T, c)    plasticity: height of the die, state of the mesh

Give the files of one set together; the ends _X and _Y of the names, without .npy, tell the
positions apart. The grid is the mesh's own, logical one: points i / (n - 1), j / (m - 1), not
periodic. Positions in space are inputs, so derivatives on the grid are not derivatives in space.
The die's height does not depend on the second axis and is repeated along it. Plasticity's times are
not in the file; they are frame numbers.

Point clouds (elasticity) have no grid and are refused here: see `point_clouds`.

Splits as published: pipe and airfoil train on the first 1000 samples and test on the next 200,
plasticity trains on the first 900 and tests on the last 80; what is left over is "valid". Smaller
sets give a sixth to testing.

Source: Li et al. 2022, arXiv:2207.05209 (the data); thuml/Neural-Solver-Library (the tasks).
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ...grid import Grid
from ..errors import MissingFileError, SchemaError
from ..spec import DatasetSpec, FieldSpec
from .conversion import Part, Samples, provenance, stored_dtype, write_set
from .matlab import Variable, open_matlab, version
from .numpy_files import is_numpy, mapped

AIRFOIL_CHANNELS = 5
# Channel of the published task and what it is.
PIPE, AIRFOIL = (0, "velocity_x"), (4, "mach")
MESH_SPLIT, PLASTICITY_SPLIT = (1000, 200), (900, 80)
_FACTS = {
    "citation": "Li et al. 2022, arXiv:2207.05209",
    "license": "not stated",
    "source_grid": "logical: derivatives on it are not derivatives in space",
}


def detects(path: str | Path) -> str | None:
    """Return None if the file may belong to one of these sets, otherwise why not."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError("no such file", file=path, advice="check the path")
    if is_numpy(path):
        rank = mapped(path).ndim
        return None if rank in (2, 3, 4) else f"{path.name} has {rank} axes, expected 2, 3 or 4"
    if version(path) is None:
        return f"{path.name} is neither a NumPy array nor a MATLAB file"
    with open_matlab(path) as variables:
        ranks = {name: len(one.shape) for name, one in variables.items()}
    if (ranks.get("input"), ranks.get("output")) != (2, 5):
        return f"{path.name} holds no `input` of 2 and `output` of 5 axes"
    return None


def convert(
    paths: Sequence[str | Path],
    output_folder: str | Path,
    *,
    channels: Sequence[int] | None = None,
) -> list[Path]:
    """Convert the files of one set.

    Args:
        paths: X, Y and Q, or one MATLAB file, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,valid,test}/NAME.h5.
        channels: which channels of Q become outputs; by default the one of the published task.

    Raises:
        SchemaError: a file is missing or one too many, shapes disagree, or points have no grid.
        DataError: a file is damaged or unsafe.
    """
    folder, files = Path(output_folder), [Path(path) for path in paths]
    with ExitStack() as stack:
        if all(is_numpy(file) for file in files):
            samples, (train, test) = _mesh(folder.name, files, channels), MESH_SPLIT
            splits = _splits(samples.count, train, test, last=False)
        elif len(files) == 1:
            variables = stack.enter_context(open_matlab(files[0]))
            samples, (train, test) = _plasticity(folder.name, files[0], variables), PLASTICITY_SPLIT
            splits = _splits(samples.count, train, test, last=True)
        else:
            raise SchemaError(
                f"{[file.name for file in files]}", allowed="one MATLAB file, or X, Y and Q"
            )
        return write_set(
            folder, [Part(split, folder.name, samples, rows) for split, rows in splits.items()]
        )


def _mesh(name: str, files: Sequence[Path], channels: Sequence[int] | None) -> Samples:
    held = {file: mapped(file) for file in files}
    solved = [file for file in files if held[file].ndim == 4]
    placed = {
        axis: [f for f in files if held[f].ndim == 3 and f.stem.endswith(f"_{axis.upper()}")]
        for axis in "xy"
    }
    if any(held[f].ndim == 2 or (held[f].ndim == 3 and held[f].shape[1] == 2) for f in files):
        raise SchemaError(
            f"shapes { {file.name: held[file].shape for file in files} }",
            file=files[0].parent,
            allowed="points on a structured mesh; these are point clouds without a grid",
            advice="open them where they lie, with formats.open_point_clouds",
        )
    if [len(solved), *map(len, placed.values()), len(files)] != [1, 1, 1, 3]:
        raise SchemaError(
            f"{[file.name for file in files]}",
            file=files[0].parent,
            allowed="NAME_X, NAME_Y of shape (N, n, m) and NAME_Q of shape (N, c, n, m)",
            advice="give the three files of one set together",
        )
    q, x, y = (held[file] for file in (solved[0], *placed["x"], *placed["y"]))
    count, size, *points = q.shape
    if not x.shape == y.shape == (count, *points):
        raise SchemaError(
            f"shapes {x.shape} of X, {y.shape} of Y and {q.shape} of Q",
            file=solved[0],
            allowed="(N, n, m), (N, n, m) and (N, c, n, m)",
        )
    target, target_name = AIRFOIL if size >= AIRFOIL_CHANNELS else PIPE
    chosen = [target] if channels is None else list(channels)
    if not chosen or not set(chosen) <= set(range(size)):
        raise SchemaError(f"channels {chosen}", file=solved[0], allowed=f"some of 0 to {size - 1}")
    outputs = {k: target_name if k == target else f"channel_{k}" for k in chosen}
    spec = DatasetSpec(
        name,
        Grid(points, 1.0, False),
        (
            FieldSpec("position_x", "input"),
            FieldSpec("position_y", "input"),
            *(FieldSpec(one, "output", time_varying=True) for one in outputs.values()),
        ),
    )

    def read(rows: slice) -> dict[str, np.ndarray]:
        values = {one: np.asarray(q[rows, k]) for k, one in outputs.items()}
        return {"position_x": np.asarray(x[rows]), "position_y": np.asarray(y[rows])} | values

    dtype = stored_dtype(x.dtype, y.dtype, q.dtype)
    return Samples(spec, count, dtype, read, provenance(files, **_FACTS))


def _plasticity(name: str, file: Path, variables: Mapping[str, Variable]) -> Samples:
    die, state = variables["input"], variables["output"]
    count, n, m, frames, channels = state.shape
    if die.shape != (count, n):
        raise SchemaError(
            f"input has shape {die.shape} and output {state.shape}",
            file=file,
            allowed="(N, n) and (N, n, m, T, c)",
        )
    names = [f"channel_{k}" for k in range(channels)]
    spec = DatasetSpec(
        name,
        Grid((n, m), 1.0, False),
        (
            FieldSpec("die", "input"),
            *(FieldSpec(one, "output", time_varying=True) for one in names),
        ),
        times=tuple(float(frame) for frame in range(frames)),
    )

    def read(rows: slice) -> dict[str, np.ndarray]:
        values = np.moveaxis(state.read(rows), 3, 1)
        profile = die.read(rows)[..., None]
        repeated = np.broadcast_to(profile, (len(profile), n, m))
        return {"die": repeated} | {one: values[..., k] for k, one in enumerate(names)}

    made = provenance([file], **_FACTS, source_times="frame numbers")
    return Samples(spec, count, stored_dtype(die.dtype, state.dtype), read, made)


def _splits(count: int, train: int, test: int, *, last: bool) -> dict[str, range]:
    """The first samples train; the next ones, or the last ones, test."""
    if count < train + test:
        test = count // 6
        train = count - test
    testing = range(count - test, count) if last else range(train, train + test)
    left = range(train, count - test) if last else range(train + test, count)
    return {"train": range(train), "valid": left, "test": testing}
