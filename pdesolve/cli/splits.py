"""A split of the dataset that a config names, opened; a missing one says which command makes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .failures import UsageError


def open_split(dataset: Any, name: Any, stride: int, *, place: str = "dataset.path=FOLDER") -> Any:
    """Open one split of a dataset config at one stride, through the config's window.

    `dataset.points`, the numbers of samples that train and test, says that the folder holds arrays
    at scattered points, which have neither stride nor window. An error names `place` as what says
    where a set is.
    """
    from ..datasets.formats import open_point_clouds
    from ..datasets.reader import open_dataset
    from .build import build

    if not Path(dataset.path).exists():
        raise UsageError(
            f"no dataset {dataset.name} at {dataset.path}: make it with "
            f"`{dataset.get('made_by') or _generate(dataset)}`, or say "
            f"where it is with {place}"
        )
    if sizes := dataset.get("points"):
        return open_point_clouds(dataset.path, split=name, sizes=tuple(sizes))
    window = build(dataset.get("window"))
    return open_dataset(Path(dataset.path), split=name, stride=stride, window=window)


def has_split(dataset: Any, name: str) -> bool:
    """Return whether a dataset folder holds a split."""
    if dataset.get("points"):
        return name in ("train", "test")
    return (Path(dataset.path) / "data" / name).is_dir()


def open_tests(dataset: Any, name: str, strides: Sequence[int]) -> dict[str, Any]:
    """Open one split at the training resolution (label "") and at others (label "@points")."""
    if not has_split(dataset, name):
        return {}
    tests = {"": open_split(dataset, name, dataset.stride)}
    for stride in strides:
        other = open_split(dataset, name, stride)
        if other.grid.shape != tests[""].grid.shape:
            tests["@" + "x".join(map(str, dict.fromkeys(other.grid.shape)))] = other
    return tests


def _generate(dataset: Any) -> str:
    small = " size=smoke" if str(dataset.path).endswith("_smoke") else ""
    return f"pdesolve generate dataset={dataset.name}{small}"
