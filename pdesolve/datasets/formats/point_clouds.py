"""The elasticity set of the neural solver library: stress at the points of a body with a hole.

    NAME_XY (points, 2, N)      positions of the points of each sample
    NAME_sigma (points, N)      stress there
    NAME_rr (42, N)             shape of the hole, optional

There is no grid, so nothing is converted: the arrays are opened as a `PointSet` whose inputs are
the positions themselves. Splits as published: the first 1000 samples and the last 200.

Source: Li et al. 2022, arXiv:2207.05209 (the data); thuml/Latent-Spectral-Models (the task).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import MissingFileError, SchemaError, SplitError
from ..point_set import PointSet
from .numpy_files import is_numpy, mapped

TRAIN, TEST = 1000, 200


def open_point_clouds(
    files: str | Path | Sequence[str | Path],
    *,
    split: Literal["train", "test"],
    sizes: tuple[int, int] = (TRAIN, TEST),
) -> PointSet:
    """Return one split of a set of point clouds, told by the shapes of its arrays.

    Args:
        files: the .npy files, or the folder that holds them alone.
        split: "train" takes the first samples, "test" the last.
        sizes: of the two splits.

    Raises:
        DataError: a file is missing, damaged or holds pickled objects; the shapes are not those of
            one set; there are fewer samples than the splits need.
    """
    paths = _paths(files)
    held = {path: mapped(path) for path in paths if is_numpy(path)}
    positions, stress, code = _told_apart(held, paths)
    count = positions.shape[2]
    if sum(sizes) > count:
        raise SplitError(
            f"splits {sizes} need {sum(sizes)} samples",
            file=paths[0].parent,
            allowed=f"at most {count}",
            advice="pass sizes=(train, test), dataset.points=[train,test] on the command line",
        )
    rows = slice(0, sizes[0]) if split == "train" else slice(count - sizes[1], count)
    xy = np.ascontiguousarray(positions[:, :, rows].transpose(2, 0, 1))
    condition = None if code is None else np.ascontiguousarray(code[:, rows].T)
    names = () if code is None else tuple(f"code_{k}" for k in range(len(code)))
    return PointSet(
        xy.transpose(0, 2, 1),
        np.ascontiguousarray(stress[:, rows].T)[:, None],
        xy,
        condition=condition,
        condition_names=names,
        input_names=("position_x", "position_y"),
        output_names=("stress",),
        name="elasticity",
    )


def _paths(files: str | Path | Sequence[str | Path]) -> list[Path]:
    if isinstance(files, str | Path):
        folder = Path(files)
        paths = sorted(folder.glob("*.npy")) if folder.is_dir() else [folder]
    else:
        paths = [Path(file) for file in files]
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise MissingFileError(
            "no .npy file" if not paths else "no such file",
            file=missing[0] if missing else Path(str(files)),
            advice="give the folder of the set, or its files",
        )
    return paths


def _told_apart(
    held: dict[Path, np.memmap], paths: Sequence[Path]
) -> tuple[np.memmap, np.memmap, np.memmap | None]:
    """Positions, stress and code of the hole, by their shapes."""
    clouds = [a for a in held.values() if a.ndim == 3 and a.shape[1] == 2]
    planes = [a for a in held.values() if a.ndim == 2]
    if len(clouds) == 1 and len(held) == len(paths) == 1 + len(planes):
        points, _, samples = clouds[0].shape
        stress = [a for a in planes if a.shape == (points, samples)]
        code = [a for a in planes if a.shape[0] != points and a.shape[1] == samples]
        if len(stress) == 1 and len(stress) + len(code) == len(planes) <= 2:
            return clouds[0], stress[0], code[0] if code else None
    raise SchemaError(
        f"shapes { {path.name: getattr(held.get(path), 'shape', 'no array') for path in paths} }",
        file=paths[0].parent,
        allowed="XY (points, 2, N), sigma (points, N) and perhaps rr (numbers, N)",
        advice="give the files of one set",
    )
