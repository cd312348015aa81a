"""The Darcy files that neuraloperator publishes: darcy_{train,test}_{n}.pt.

Each is a dict of x (N, n, n) bool, the phase, and y (N, n, n) float32, the solution of

    -div(a grad u) = 1  on the unit square,   u = 0 on its boundary,   a = 0.36 where x, else 0.02

at the points x_i = 1/1024 + i/n (the first interior node of a 1024-cell grid and every 1024/n-th
after it). Phases and points were decoded from the stored solutions: -Δu is 25/9 and 50 inside the
phases, and u extrapolates to zero 1/1024 before the first point. Only f/a is identifiable; f = 1
is a choice. Some published solutions are negative near a wall; they are kept as they are.

Source: Zenodo record 12784353; Kossaifi et al. 2024, arXiv:2412.10354.
"""

import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...grid import Grid
from ..errors import SchemaError, UnsafeFileError
from ..manifest import file_sha256, write_manifest
from ..schema import NO_SEED
from ..spec import DatasetSpec, FieldSpec
from ..writer import DatasetWriter

HIGH, LOW = 0.36, 0.02
# The law of the published media, as `pdesolve.pde.Darcy.neuraloperator()` has it.
PARAMETERS = {"low": LOW, "high": HIGH, "tau": 10.0, "alpha": 3.0}
# Resolutions whose points are known; of others nobody has decoded where they lie.
KNOWN_POINTS = (16, 32)
OFFSET = 1 / 1024

_NAME = re.compile(r".*_(train|test)_\d+\.pt")


def detects(path: str | Path) -> str | None:
    """Return None if the file is such a Darcy file, otherwise why not.

    Raises:
        UnsafeFileError: the file holds pickled objects.
    """
    path = Path(path)
    if not _NAME.fullmatch(path.name):
        return f"{path.name} is not named NAME_train_16.pt or NAME_test_16.pt"
    if not zipfile.is_zipfile(path):
        return f"{path.name} is no torch file of 2020 or later (they are zip archives)"
    try:
        content = _load(path)
    except (RuntimeError, EOFError, OSError) as error:
        return f"{path.name} is no torch file ({str(error).splitlines()[0]})"
    if not isinstance(content, dict) or not {"x", "y"} <= set(content):
        return f"{path.name} holds no dict with x and y"
    x, y = content["x"], content["y"]
    if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.dtype != torch.bool:
        return f"x of {path.name} is no bool tensor"
    if x.shape != y.shape or x.ndim != 3 or x.shape[1] != x.shape[2]:
        return f"x {tuple(x.shape)} and y {tuple(y.shape)} of {path.name} are not both (N, n, n)"
    return None


def convert(
    paths: Sequence[str | Path], output_folder: str | Path, *, grid: Grid | None = None
) -> list[Path]:
    """Convert Darcy files of one resolution; train and test are told by their names.

    Args:
        paths: the .pt files, each with `detects(path) is None`.
        output_folder: becomes NAME/data/{train,test}/NAME.h5 with NAME its last part.
        grid: where the points are, needed for resolutions other than 16 and 32.

    Returns:
        The files written.

    Raises:
        SchemaError: resolutions differ, a split is given twice, or the points are not known.
        UnsafeFileError: a file holds pickled objects.
        ExistingFileError: the folder holds the converted file already.
    """
    folder = Path(output_folder)
    contents = {Path(path): _load(Path(path)) for path in paths}
    splits = {path: _split(path) for path in contents}
    if len(set(splits.values())) < len(splits):
        raise SchemaError(
            "two files of one split",
            place=str(folder),
            allowed="one file for each of train and test",
        )
    sizes = {path.name: tuple(content["x"].shape[1:]) for path, content in contents.items()}
    if len(set(sizes.values())) > 1:
        raise SchemaError(
            f"resolutions differ ({sizes})", advice="convert each resolution into its own folder"
        )
    grid = grid or _known_grid(next(iter(sizes.values())))
    spec = DatasetSpec(
        folder.name,
        grid,
        (
            FieldSpec("coefficient", "input"),
            FieldSpec("solution", "output", time_varying=True),
        ),
        equation="Darcy",
        equation_parameters=PARAMETERS,
    )
    written = [
        _write(path, content, spec, folder / "data" / splits[path] / f"{folder.name}.h5")
        for path, content in contents.items()
    ]
    write_manifest(folder)
    return written


def _load(path: Path) -> dict:
    try:
        # Never without weights_only: unpickling runs code.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeFileError(
            "pickled objects that are not tensors",
            file=path,
            allowed="tensors alone",
            advice="save plain tensors from an environment that you trust with the file",
        ) from error


def _split(path: Path) -> str:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise SchemaError("no split in the name", file=path, allowed="NAME_train_16.pt or _test_")
    return named[1]


def _known_grid(shape: tuple[int, ...]) -> Grid:
    if shape[0] not in KNOWN_POINTS:
        raise SchemaError(
            f"{shape[0]} points a side, whose places are not known",
            place="grid",
            allowed=f"{' or '.join(map(str, KNOWN_POINTS))} points",
            advice="pass grid=Grid(...) to pdesolve.datasets.formats.neuraloperator.convert",
        )
    return Grid(shape, 1.0, False, offset=OFFSET)


def _write(path: Path, content: dict, spec: DatasetSpec, target: Path) -> Path:
    phase, solution = content["x"], content["y"].float()
    coefficient = torch.where(phase, HIGH, LOW).float()
    provenance = {
        "generator": "pdesolve data convert",
        "source": path.name,
        "source_sha256": file_sha256(path),
        "citation": "Kossaifi et al. 2024, arXiv:2412.10354; Zenodo record 12784353",
    }
    with DatasetWriter(target, spec, len(phase), provenance=provenance, resume=True) as writer:
        for index in sorted(set(range(len(phase))) - writer.written):
            fields = {
                "coefficient": coefficient[index].numpy(),
                "solution": solution[index].numpy(),
            }
            writer.write(index, fields, seed=NO_SEED)
        return writer.finish()
