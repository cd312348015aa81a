"""Samples held as tensors: every stored channel once, whatever windows are cut from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..grid import Grid
from .schema import Records
from .spec import DatasetSpec


@dataclass(frozen=True)
class MemorySource:
    """Samples held as tensors.

    Args:
        values: all stored channels, shape (n, channels, *grid), contiguous.
        masks: shape (n, 1, *grid), or None.
        rehashed: computes hashes of samples where their file stores none, see `hashed`.
    """

    values: Tensor
    masks: Tensor | None
    spec: DatasetSpec
    grid: Grid
    path: Path | None
    provenance: Mapping[str, Any]
    records: Records
    fixed: Mapping[str, np.ndarray]
    rehashed: Callable[[np.ndarray], Records] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors."""
        return self.values.dtype

    def hashed(self, rows: np.ndarray) -> Records:
        """Return the records, with the hashes of these samples."""
        return self.records if self.rehashed is None else self.rehashed(rows)

    def channels(self, rows: np.ndarray, numbers: np.ndarray) -> Tensor:
        """Return stored channels of stored samples."""
        # index_select copies faster than advanced indexing.
        flat = torch.from_numpy(rows[:, None] * self.values.shape[1] + numbers).flatten()
        chosen = self.values.flatten(0, 1).index_select(0, flat)
        return chosen.unflatten(0, numbers.shape)

    def mask(self, rows: np.ndarray) -> Tensor | None:
        """Return the masks of stored samples."""
        return None if self.masks is None else self.masks.index_select(0, torch.from_numpy(rows))
