"""A Dataset: named channels of samples on one grid, wherever the samples are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from .errors import SplitError
from .hashing import data_hash
from .schema import Records
from .spec import DatasetSpec
from .statistics import Moments, merge

# A spread below this fraction of the mean is rounding: the channel is constant.
CONSTANT = 1e-12
_STATISTICS_BATCH = 64


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

    def read(self, indices: np.ndarray) -> Batch:
        """Return the samples at these positions."""
        ...


@dataclass(frozen=True)
class MemorySource:
    """Samples held as tensors."""

    samples: Batch
    spec: DatasetSpec
    grid: Grid
    path: Path | None
    provenance: Mapping[str, Any]
    records: Records
    fixed: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, indices: np.ndarray) -> Batch:
        """Return the samples at these positions."""
        chosen = torch.from_numpy(indices)
        held = self.samples
        # index_select copies faster than advanced indexing.
        picked = {
            name: None if (t := getattr(held, name)) is None else t.index_select(0, chosen)
            for name in ("x", "y", "condition", "mask")
        }
        return replace(held, **picked)


class Dataset:
    """Samples of one problem: `batch` gives them as tensors in physical units.

    Made by `open_dataset` or `from_arrays`. Copies and pickles for worker processes are cheap
    where samples are read from a file.

    Attributes:
        name, path: of the data; path is None for arrays in memory.
        grid: where the points of every field are.
        times: stored times.
        input_names, output_names: one name a channel; a vector has name_x, name_y, ...
        condition_names: names of the numbers in `Batch.condition`.
        units: by channel name.
        equation, equation_parameters: class name in `pdesolve.pde` ("" if unknown), its arguments.
    """

    def __init__(self, source: Source, indices: np.ndarray | None = None):
        spec = source.spec
        self._source = source
        self._indices = np.arange(len(source)) if indices is None else indices
        self.name = spec.name
        self.path = source.path
        self.grid = source.grid
        self.times = spec.times
        dims = spec.grid.dims
        channels = {
            role: {c: one.units for one in spec.by_role(role) for c in one.components(dims)}
            for role in ("input", "output")
        }
        self.input_names = tuple(channels["input"])
        self.output_names = tuple(channels["output"])
        self.condition_names = spec.parameters
        self.units = channels["input"] | channels["output"]
        self.equation = spec.equation
        self.equation_parameters = dict(spec.equation_parameters)

    def __len__(self) -> int:
        return len(self._indices)

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
    def seeds(self) -> list[int]:
        """Random seed of each sample, -1 where there is none."""
        return self._source.records.seed[self._indices].tolist()

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of stored fields and seeds of these samples, whatever the stride."""
        source = self._source
        return data_hash(source.spec, source.records, self._indices, source.fixed)

    def batch(self, indices: Sequence[int] | np.ndarray | Tensor) -> Batch:
        """Return samples side by side.

        Args:
            indices: positions in this dataset, 0 <= i < len, in any order.

        Raises:
            IndexError: a position is outside, or there is none.
            DataError: the bytes of a sample are damaged or not finite.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not wanted.size or wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(
                f"indices are {wanted.tolist()[:8]}, expected one or more of 0 to {len(self) - 1}"
            )
        return self._source.read(self._indices[wanted])

    def subset(self, indices: Sequence[int] | np.ndarray | Tensor) -> "Dataset":
        """Return some of the samples as a Dataset that shares their storage.

        Raises:
            SplitError: no index is given, or one is outside.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if not wanted.size or wanted.min() < 0 or wanted.max() >= len(self):
            raise SplitError(
                f"{wanted.size} samples asked for"
                + (f", indices {wanted.min()} to {wanted.max()}" if wanted.size else ""),
                file=self.path or self.name,
                allowed=f"at least one, indices 0 to {len(self) - 1}",
            )
        return Dataset(self._source, self._indices[wanted])

    def normalization(self) -> dict[str, Float[Tensor, " c"]]:
        """Mean and standard deviation of each channel over samples and points inside the mask.

        Returns:
            x_mean, x_std, y_mean, y_std, float32, shape (c,); gathered in float64. A constant
            channel has standard deviation 1, so that dividing by it is harmless.
        """
        starts = range(0, len(self), _STATISTICS_BATCH)
        batches = (self.batch(range(s, min(s + _STATISTICS_BATCH, len(self)))) for s in starts)
        parts = [(_channel_moments(b, "x"), _channel_moments(b, "y")) for b in batches]
        moments = {name: merge(part[k] for part in parts) for k, name in enumerate("xy")}
        values = {}
        for name, one in moments.items():
            varies = one.std > CONSTANT * np.abs(one.mean)
            values[f"{name}_mean"] = torch.from_numpy(one.mean).float()
            values[f"{name}_std"] = torch.from_numpy(np.where(varies, one.std, 1.0)).float()
        return values

    def metadata(self) -> dict[str, Any]:
        """What a run or a saved model should remember of its data, as JSON values."""
        return {
            "name": self.name,
            "path": None if self.path is None else str(self.path),
            "samples": len(self),
            "grid": self.grid.as_dict(),
            "times": list(self.times),
            "input_names": list(self.input_names),
            "output_names": list(self.output_names),
            "condition_names": list(self.condition_names),
            "units": self.units,
            "equation": self.equation,
            "equation_parameters": self.equation_parameters,
            "data_hash": self.data_hash,
            "provenance": dict(self._source.provenance),
        }


def _channel_moments(batch: Batch, name: str) -> Moments:
    values: Tensor = getattr(batch, name)
    columns = values.movedim(1, -1).numpy()
    if batch.mask is None:
        return Moments.of(columns.reshape(-1, columns.shape[-1]))
    return Moments.of(columns[batch.mask[:, 0].numpy() > 0])
