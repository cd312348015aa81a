"""Functions known at sensors, asked for at scattered points, as a dataset in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from .errors import NonFiniteError, SchemaError, SplitError

Array = np.ndarray | Tensor


class PointSet:
    """Samples of functions at points, with the attributes that training asks of a Dataset.

    Args:
        x: input values, shape (samples, c_in, m): at sensors, or at the points.
        y: output values, shape (samples, c_out, n), at the points.
        points: their positions, shape (n, d) for all samples, or (samples, n, d).
        condition, condition_names: parameters of the samples, shape (samples, p).
        input_names, output_names: one name a channel; None numbers them.
        units: by channel name; 1 where nothing is said.
        name: of the data.

    Raises:
        SchemaError: shapes that do not fit.
        NonFiniteError: a number is NaN or infinite.
    """

    path: Path | None = None
    grid = None
    window = None
    times: tuple[float, ...] = ()
    target_times: tuple[float, ...] | None = None
    fixed_channels = 0
    frame_spacing = 0.0
    equation = ""

    def __init__(
        self,
        x: Array,
        y: Array,
        points: Array,
        *,
        condition: Array | None = None,
        condition_names: Sequence[str] = (),
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        units: Mapping[str, str] | None = None,
        name: str = "points",
    ):
        given = [_finite(*one) for one in (("x", x), ("y", y), ("points", points))]
        dtype = reduce(torch.promote_types, (one.dtype for one in given))
        self.x, self.y, self.points = (one.to(dtype) for one in given)
        self.condition = None if condition is None else _finite("condition", condition).to(dtype)
        self.condition_names, self.name = tuple(condition_names), name
        self._check()
        self.input_names = _names("input", input_names, self.x.shape[1])
        self.output_names = _names("output", output_names, self.y.shape[1])
        known = dict(units or {})
        self.units = {n: known.get(n, "1") for n in self.input_names + self.output_names}
        self.equation_parameters: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        channels = f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}"
        return f"PointSet({self.name}: {len(self)} samples, {channels}, {self.y.shape[2]} points)"

    @property
    def trajectories(self) -> int:
        """Number of samples."""
        return len(self)

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return self.x.shape[1]

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return self.y.shape[1]

    @property
    def condition_dim(self) -> int:
        """Number of parameters that each sample carries."""
        return len(self.condition_names)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of all values and positions."""
        digest = hashlib.sha256()
        parts = (self.x, self.y, self.points, self.condition)
        for part in parts:
            if part is not None:
                digest.update(f"{tuple(part.shape)} {part.dtype}".encode())
                digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def batch(self, indices: Sequence[int] | np.ndarray | Tensor) -> Batch:
        """Return samples side by side.

        Raises:
            IndexError: a position is outside, or there is none.
        """
        rows = torch.as_tensor(np.asarray(indices, dtype=np.int64).reshape(-1))
        if not len(rows) or rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(
                f"indices are {rows.tolist()[:8]}, expected one or more of 0 to {len(self) - 1}"
            )
        condition = None if self.condition is None else self.condition[rows]
        points = self.points if self.points.ndim == 2 else self.points[rows]
        return Batch(
            self.x[rows], self.y[rows], None, condition, self.condition_names, points=points
        )

    def subset(self, indices: Sequence[int] | np.ndarray | Tensor) -> "PointSet":
        """Return some of the samples.

        Raises:
            SplitError: no index is given, or one is outside.
        """
        rows = torch.as_tensor(np.asarray(indices, dtype=np.int64).reshape(-1))
        if not len(rows) or rows.min() < 0 or rows.max() >= len(self):
            raise SplitError(
                f"{len(rows)} samples asked for",
                file=self.name,
                allowed=f"at least one, indices 0 to {len(self) - 1}",
            )
        return PointSet(
            self.x[rows],
            self.y[rows],
            self.points if self.points.ndim == 2 else self.points[rows],
            condition=None if self.condition is None else self.condition[rows],
            condition_names=self.condition_names,
            input_names=self.input_names,
            output_names=self.output_names,
            units=self.units,
            name=self.name,
        )

    def ahead(self, steps: int) -> "PointSet":
        """Return itself: scattered points make no sequence of frames.

        Raises:
            SchemaError: more than one step is asked for.
        """
        if steps != 1:
            raise SchemaError(
                f"{steps} calls in a row", file=self.name, allowed="1: points make no frames"
            )
        return self

    def normalization(self) -> dict[str, Float[Tensor, " c"]]:
        """Mean and standard deviation of each channel; a constant channel has deviation 1."""
        values = {}
        for part, field in (("x", self.x.double()), ("y", self.y.double())):
            mean, std = field.mean((0, 2)), field.std((0, 2), correction=0)
            values[f"{part}_mean"] = mean.float()
            values[f"{part}_std"] = torch.where(std > 1e-12 * mean.abs(), std, 1.0).float()
        return values

    def metadata(self) -> dict[str, Any]:
        """What a run or a saved model should remember of its data, as JSON values."""
        return {
            "name": self.name,
            "samples": len(self),
            "sensors": self.x.shape[2],
            "points": self.y.shape[2],
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
            "condition_names": list(self.condition_names),
            "units": self.units,
            "data_hash": self.data_hash,
        }

    def _check(self) -> None:
        samples, points = len(self.x), self.y.shape[-1]
        given = None if self.condition is None else tuple(self.condition.shape)
        expected = (samples, len(self.condition_names)) if self.condition_names else None
        shapes = f"x {tuple(self.x.shape)}, y {tuple(self.y.shape)}, points "
        shapes += f"{tuple(self.points.shape)}, condition {given}"
        fits = (
            self.x.ndim == self.y.ndim == 3
            and len(self.y) == samples
            and self.points.ndim in (2, 3)
            and self.points.shape[-2] == points
            and (self.points.ndim == 2 or len(self.points) == samples)
            and given == expected
        )
        if not fits:
            raise SchemaError(
                shapes,
                place=self.name,
                allowed="x (samples, c_in, m), y (samples, c_out, n), points (n, d) or "
                "(samples, n, d), condition (samples, p) with p condition_names",
            )


def from_cartesian_product(branch: Array, trunk: Array, y: Array, **described: Any) -> PointSet:
    """Return functions that are all known at the same points, in DeepXDE's layout.

    Args:
        branch: values at m sensors, shape (samples, m).
        trunk: points, shape (n, d).
        y: outputs, shape (samples, n), or (samples, n, c_out).
        described: further arguments of `PointSet`.

    Raises:
        SchemaError: shapes that do not fit.
    """
    outputs = _tensor(y)
    outputs = outputs[:, None] if outputs.ndim == 2 else outputs.mT
    return PointSet(_tensor(branch)[:, None], outputs, trunk, **described)


def from_triples(branch: Array, trunk: Array, y: Array, **described: Any) -> PointSet:
    """Return rows of one function, one point and one value each, in DeepXDE's layout.

    Args:
        branch: values at m sensors, shape (rows, m).
        trunk: the point of each row, shape (rows, d).
        y: outputs, shape (rows, c_out).
        described: further arguments of `PointSet`.

    Raises:
        SchemaError: shapes that do not fit.
    """
    rows, points = _tensor(branch)[:, None], _tensor(trunk)[:, None]
    return PointSet(rows, _tensor(y)[..., None], points, **described)


def _tensor(array: Array) -> Tensor:
    return array.detach().cpu() if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def _finite(place: str, array: Array) -> Tensor:
    values = _tensor(array)
    if values.is_complex() or values.dtype == torch.bool:
        raise SchemaError(f"dtype {values.dtype}", place=place, allowed="real numbers")
    values = values if values.dtype == torch.float64 else values.float()
    if not values.isfinite().all():
        count = int((~values.isfinite()).sum())
        raise NonFiniteError(
            f"{count} values are NaN or infinite", place=place, allowed="finite numbers"
        )
    return values


def _names(default: str, names: Sequence[str] | None, channels: int) -> tuple[str, ...]:
    if names is None:
        return (default,) if channels == 1 else tuple(f"{default}_{k}" for k in range(channels))
    if len(names) != channels:
        raise SchemaError(
            f"{len(names)} names for {channels} channels",
            place=f"{default}_names",
            allowed="one each",
        )
    return tuple(names)
