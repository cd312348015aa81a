"""A Dataset: named channels of samples on one grid, wherever the samples are kept."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from .errors import SchemaError, SplitError
from .hashing import data_hash
from .schema import Records
from .spec import DatasetSpec
from .statistics import Moments, merge
from .windows import LEAD_TIME, AtTimes, Frames, Pairs, Window, quantity

# A spread below this fraction of the mean is rounding: the channel is constant.
CONSTANT = 1e-12
_STATISTICS_BATCH = 64
# The input field that says which points are inside; operators multiply by it.
MASK = "mask"
# Numbers read at once for statistics; float64 copies take three times their memory.
_STATISTICS_VALUES = 2**24


@runtime_checkable
class Source(Protocol):
    """Where samples are kept: what a Dataset needs of it."""

    @property
    def spec(self) -> DatasetSpec: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def path(self) -> Path | None: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...
    @property
    def records(self) -> Records: ...
    @property
    def fixed(self) -> Mapping[str, np.ndarray]: ...
    def __len__(self) -> int: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def channels(self, rows: np.ndarray, numbers: np.ndarray) -> Tensor:
        """Return stored channels of stored samples, shape (b, c, *grid).

        Args:
            rows: positions of the samples, shape (b,).
            numbers: of `stored_channels`, for each sample, shape (b, c). A column holds one
                component of one field, whatever its time.
        """
        ...

    def mask(self, rows: np.ndarray) -> Tensor | None:
        """Return the masks of stored samples, shape (b, 1, *grid)."""
        ...

    def hashed(self, rows: np.ndarray) -> Records:
        """Return the records, with the hashes of these samples."""
        ...


class Dataset:
    """Items of one problem: `batch` gives them as tensors in physical units.

    Made by `open_dataset` or `from_arrays`. Stored samples that hold several times make as many
    items as the window finds in them; the items of one sample follow each other. Copies and pickles
    for worker processes are cheap where samples are read from a file.

    Attributes:
        name, path: of the data; path is None for arrays in memory.
        grid: where the points of every field are.
        times: stored times.
        window: which frames are inputs and which are targets.
        input_names, output_names: one name a channel; a vector has name_x, name_y, ... What
            follows an @ is the frame.
        fixed_channels: how many of the first inputs stay as they are in a rollout.
        held: channels of a frame that a rollout keeps as they are, none here; see `Mixture`.
        frame_spacing: time from a frame to the next, 0 where the window makes no sequence.
        target_times: times of the targets, frame by frame, where all items share them.
        condition_names: names of the numbers in `Batch.condition`.
        units: by channel name.
        equation, equation_parameters: class name in `pdesolve.pde` ("" if unknown), its arguments.
    """

    held: tuple[int, ...] = ()

    def __init__(
        self, source: Source, rows: np.ndarray | None = None, window: Frames | None = None
    ):
        spec = source.spec
        self._source = source
        self._rows = np.arange(len(source)) if rows is None else rows
        self.window = window or AtTimes("last")
        self._layout = layout = self.window.layout(spec)
        self.name = spec.name
        self.path = source.path
        self.grid = source.grid
        self.times = spec.times
        self.input_names, self.output_names = layout.x_names, layout.y_names
        self.fixed_channels, self.target_times = layout.fixed, layout.target_times
        self.frame_spacing = layout.spacing
        lead_time = () if layout.lead_times is None else (LEAD_TIME,)
        self.condition_names = (*lead_time, *spec.parameters)
        known = {c: one.units for one in spec.fields for c in one.components(spec.grid.dims)}
        names = self.input_names + self.output_names
        self.units = {name: known[quantity(name)] for name in names}
        self.equation = spec.equation
        self.equation_parameters = dict(spec.equation_parameters)

    def __len__(self) -> int:
        return len(self._rows) * len(self._layout.x)

    @property
    def trajectories(self) -> int:
        """Number of stored samples, each of which makes `len / trajectories` items."""
        return len(self._rows)

    def __repr__(self) -> str:
        channels = f"{', '.join(self.input_names)} -> {', '.join(self.output_names)}"
        return f"Dataset({self.name}: {len(self)} samples, {channels}, grid {self.grid.shape})"

    @property
    def in_channels(self) -> int:
        """Number of input channels."""
        return len(self.input_names)

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return len(self.output_names)

    @property
    def condition_dim(self) -> int:
        """Number of parameters that each sample carries."""
        return len(self.condition_names)

    @property
    def lead_times(self) -> tuple[float, ...] | None:
        """Lead time of each item of one stored sample, in their order; None where there is none."""
        leads = self._layout.lead_times
        return None if leads is None else tuple(leads.tolist())

    @property
    def seeds(self) -> list[int]:
        """Random seed of the stored sample of each item, -1 where there is none."""
        return np.repeat(self._source.records.seed[self._rows], len(self._layout.x)).tolist()

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of all stored fields and seeds of these samples, whatever stride and window."""
        source = self._source
        return data_hash(source.spec, source.hashed(self._rows), self._rows, source.fixed)

    def batch(self, indices: Sequence[int] | np.ndarray | Tensor) -> Batch:
        """Return items side by side.

        Args:
            indices: positions in this dataset, 0 <= i < len, in any order.

        Raises:
            IndexError: a position is outside, or there is none.
            DataError: the bytes of a sample are damaged or not finite.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        # As unsigned numbers negative ones are large.
        if not wanted.size or wanted.view(np.uint64).max() >= len(self):
            raise IndexError(
                f"indices are {wanted.tolist()[:8]}, expected one or more of 0 to {len(self) - 1}"
            )
        layout = self._layout
        samples, items = np.divmod(wanted, len(layout.x))
        rows = self._rows[samples]
        x, y = self._read(rows, layout.x[items], layout.y[items])
        condition = self._condition(rows, items)
        mask = self._source.mask(rows)
        return Batch(x, y, self.grid, condition, self.condition_names, mask)

    def _read(self, rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
        if not self._layout.shared:
            return self._source.channels(rows, x), self._source.channels(rows, y)
        # Both come from the same stored bytes, which are read once.
        both = self._source.channels(rows, np.concatenate([x, y], 1))
        return both[:, : x.shape[1]], both[:, x.shape[1] :]

    def _condition(self, rows: np.ndarray, items: np.ndarray) -> Tensor | None:
        if not self.condition_names:
            return None
        values = self._source.records.parameters[rows]
        if self._layout.lead_times is not None:
            values = np.concatenate([self._layout.lead_times[items, None], values], 1)
        return torch.from_numpy(values).to(self._source.dtype)

    def subset(self, indices: Sequence[int] | np.ndarray | Tensor) -> "Dataset":
        """Return some of the stored samples, with all their items, in a Dataset that shares them.

        Args:
            indices: positions among the stored samples, 0 <= i < trajectories.

        Raises:
            SplitError: no index is given, or one is outside.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not wanted.size or wanted.min() < 0 or wanted.max() >= self.trajectories:
            raise SplitError(
                f"{wanted.size} samples asked for"
                + (f", indices {wanted.min()} to {wanted.max()}" if wanted.size else ""),
                file=self.path or self.name,
                allowed=f"at least one, indices 0 to {self.trajectories - 1}",
            )
        return Dataset(self._source, self._rows[wanted], self.window)

    def windowed(self, window: Frames) -> "Dataset":
        """Return the same stored samples seen through another window.

        Raises:
            SchemaError: the window asks for what is not stored.
        """
        return Dataset(self._source, self._rows, window)

    def ahead(self, steps: int) -> "Dataset":
        """Return the dataset whose targets are those of so many calls of a model in a row.

        Raises:
            SchemaError: the window is no `Window`, or the trajectories are too short.
        """
        return self if steps == 1 else self.windowed(self._of_frames().ahead(steps))

    def rolled(self) -> "Dataset":
        """Return the dataset of rollouts, one a trajectory: first frames to all that remain.

        Raises:
            SchemaError: the window is neither `Window` nor `Pairs`.
        """
        if isinstance(self.window, Pairs):
            return self.windowed(self.window.rolled(self._source.spec))
        return self.windowed(self._of_frames().rolled(self._source.spec))

    def _of_frames(self) -> Window:
        if not isinstance(self.window, Window):
            raise SchemaError(
                f"window {self.window}",
                file=self.path or self.name,
                allowed="a Window, whose targets may become inputs",
                advice="open the data with window=Window(inputs=..., outputs=...)",
            )
        return self.window

    def normalization(self) -> dict[str, Float[Tensor, " c"]]:
        """Mean and standard deviation of each channel over items and points inside the mask.

        The frames of one quantity share theirs: a rollout makes outputs to inputs.

        Returns:
            x_mean, x_std, y_mean, y_std, float32, shape (c,); gathered in float64. A constant
            channel has standard deviation 1, so that dividing by it is harmless. A mask among the
            channels stays 0 and 1: mean 0, deviation 1.
        """
        numbers = np.union1d(self._layout.x, self._layout.y)
        stored = dict(zip(numbers.tolist(), self._moments(numbers), strict=True))
        values = {}
        for part in ("x", "y"):
            table, names = getattr(self._layout, part), getattr(self._layout, f"{part}_names")
            quantities = [quantity(name) for name in names]
            moments = {}
            for one in dict.fromkeys(quantities):
                chosen = table[:, [name == one for name in quantities]]
                # A frame counts as often as it is met.
                met = zip(*np.unique(chosen, return_counts=True), strict=True)
                moments[one] = merge(stored[int(n)].repeated(int(times)) for n, times in met)
            mean = np.concatenate([moments[one].mean for one in quantities])
            std = np.concatenate([moments[one].std for one in quantities])
            is_mask = np.array([one == MASK for one in quantities])
            varies = (std > CONSTANT * np.abs(mean)) & ~is_mask
            values[f"{part}_mean"] = torch.from_numpy(np.where(is_mask, 0.0, mean)).float()
            values[f"{part}_std"] = torch.from_numpy(np.where(varies, std, 1.0)).float()
        return values

    def _moments(self, numbers: np.ndarray) -> list[Moments]:
        """Moments of stored channels over all samples, one component each."""
        size = len(numbers) * math.prod(self.grid.shape)
        block = max(1, min(_STATISTICS_BATCH, _STATISTICS_VALUES // size))
        parts = []
        for start in range(0, self.trajectories, block):
            rows = self._rows[start : start + block]
            mask = self._source.mask(rows)
            inside = np.s_[:] if mask is None else mask.flatten().numpy() > 0
            read = self._source.channels(rows, np.tile(numbers, (len(rows), 1)))
            columns = read.transpose(0, 1).flatten(1).numpy()
            parts.append([Moments.of(column[inside, None]) for column in columns])
        return [merge(moments) for moments in zip(*parts, strict=True)]

    def metadata(self) -> dict[str, Any]:
        """What a run or a saved model should remember of its data, as JSON values."""
        return {
            "name": self.name,
            "path": None if self.path is None else str(self.path),
            "samples": len(self),
            "trajectories": self.trajectories,
            "window": repr(self.window),
            "grid": self.grid.as_dict(),
            "times": list(self.times),
            "fixed_channels": self.fixed_channels,
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
            "condition_names": list(self.condition_names),
            "units": self.units,
            "equation": self.equation,
            "equation_parameters": self.equation_parameters,
            "data_hash": self.data_hash,
            "provenance": dict(self._source.provenance),
        }
