"""The rules that The Well's own checker applies to a file, as a list of what breaks them.

Source: scripts/check_thewell_formatting.py of PolymathicAI/the_well (2026-06), stated anew.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import schema
from .opening import open_file

_ROOT_KINDS = {
    schema.NAME: str,
    schema.GRID_TYPE: str,
    schema.SPATIAL_DIMS: np.integer,
    schema.TRAJECTORIES: np.integer,
}
_GROUPS = (schema.DIMENSIONS, schema.BOUNDARIES, schema.SCALARS, *schema.FIELD_GROUPS)


def validate(path: str | Path) -> list[str]:
    """Return how a file breaks The Well's rules, one sentence each; empty for a valid file.

    Raises:
        DataError: the file cannot be opened (see `opening.open_file`).
    """
    with open_file(path) as file:
        wrong = _root(file) + [f"no group {name}" for name in _GROUPS if name not in file]
        # Shapes cannot be judged without those.
        return wrong or _Shapes(file).wrong


def _root(file: h5py.File) -> list[str]:
    wrong = [
        f"root attribute {name} is {file.attrs.get(name)!r}, expected {kind.__name__}"
        for name, kind in _ROOT_KINDS.items()
        if not isinstance(file.attrs.get(name), kind)
    ]
    parameters: Any = file.attrs.get(schema.SIMULATION_PARAMETERS)
    if parameters is None:
        return [*wrong, f"no root attribute {schema.SIMULATION_PARAMETERS}"]
    return wrong + [
        f"simulation parameter {name!r} is not both a root attribute and a scalar"
        for name in parameters
        if name not in file.attrs or f"{schema.SCALARS}/{name}" not in file
    ]


class _Shapes:
    """Walks over all groups; `wrong` collects what breaks a rule.

    A shape is [sample] [time], where the item's flags say so, and the axes along which it varies;
    vectors and tensors end with one axis of components an order.
    """

    def __init__(self, file: h5py.File):
        self.wrong: list[str] = []
        self._file = file
        group = self._item(schema.DIMENSIONS, h5py.Group)
        self._axes = self._names(group, schema.SPATIAL_NAMES)
        if len(self._axes) != file.attrs[schema.SPATIAL_DIMS]:
            self.wrong.append(f"{schema.SPATIAL_NAMES} names {len(self._axes)} axes")
        paths = [f"{schema.DIMENSIONS}/{name}" for name in (schema.TIME, *self._axes)]
        time, *space = (self._item(path, h5py.Dataset) for path in paths)
        if self.wrong:
            return
        self._points = [item.shape[-1] for item in space]
        self._lead = {
            schema.SAMPLE_VARYING: int(self._attribute(file, schema.TRAJECTORIES)),
            schema.TIME_VARYING: time.shape[-1],
        }
        self._check(time, time.shape, ())
        for item in space:
            self._check(item, item.shape[:-1], ())
        self._scalars()
        for order, name in enumerate(schema.FIELD_GROUPS):
            self._fields(order, name)
        for name in self._item(schema.BOUNDARIES, h5py.Group):
            self._boundary(f"{schema.BOUNDARIES}/{name}")

    def _scalars(self) -> None:
        for name in self._names(self._item(schema.SCALARS, h5py.Group), schema.FIELD_NAMES):
            item = self._item(f"{schema.SCALARS}/{name}", h5py.Dataset)
            if item is not None:
                self._check(item, item.shape, ())

    def _fields(self, order: int, group: str) -> None:
        for name in self._names(self._item(group, h5py.Group), schema.FIELD_NAMES):
            item = self._item(f"{group}/{name}", h5py.Dataset)
            if item is None:
                continue
            varying = np.atleast_1d(self._attribute(item, schema.DIM_VARYING, ()))
            if len(varying) != len(self._axes):
                self.wrong.append(f"{item.name} has {schema.DIM_VARYING} {varying.tolist()}")
                continue
            space = [n for n, varies in zip(self._points, varying, strict=True) if varies]
            self._check(item, item.shape, (*space, *(len(self._axes),) * order))

    def _boundary(self, path: str) -> None:
        item = self._item(path, h5py.Group)
        mask = self._item(f"{path}/{schema.BOUNDARY_MASK}", h5py.Dataset)
        if item is None or mask is None:
            return
        self._names(item, schema.BOUNDARY_FIELDS)
        touched = self._names(item, schema.BOUNDARY_DIMS)
        if not isinstance(self._attribute(item, schema.BOUNDARY_KIND), str):
            self.wrong.append(f"{path} has no text {schema.BOUNDARY_KIND}")
        if not set(touched) <= set(self._axes):
            self.wrong.append(f"{path} is associated with {touched}, expected some of {self._axes}")
        space = [n for n, name in zip(self._points, self._axes, strict=True) if name in touched]
        self._check(item, mask.shape, tuple(space))

    def _check(self, item: Any, shape: tuple[int, ...], rest: tuple[int, ...]) -> None:
        flags = {flag: self._attribute(item, flag) for flag in self._lead}
        if not all(isinstance(value, np.bool_) for value in flags.values()):
            self.wrong.append(f"{item.name} lacks a boolean {' or '.join(flags)}")
            return
        expected = tuple(self._lead[flag] for flag in flags if flags[flag]) + rest
        if shape != expected:
            self.wrong.append(f"{item.name} has shape {shape}, expected {expected}")

    def _names(self, item: Any, attribute: str) -> list[str]:
        names = self._attribute(item, attribute)
        if not isinstance(names, np.ndarray) or not all(isinstance(name, str) for name in names):
            self.wrong.append(f"{item.name} has no list of names {attribute}")
            return []
        return list(names)

    def _item(self, path: str, kind: type) -> Any:
        item = self._file.get(path)
        if not isinstance(item, kind):
            self.wrong.append(f"no {kind.__name__.lower()} {path}")
            return None
        return item

    @staticmethod
    def _attribute(item: Any, name: str, default: Any = None) -> Any:
        return item.attrs.get(name, default)
