"""A file of another package, read where it lies: what `Header` is for this package's own files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import schema
from .handle import Handle
from .hashing import sample_hash
from .spec import DatasetSpec
from .stored import Stored


@dataclass(frozen=True)
class Foreign:
    """Samples of one file, as its format describes them.

    Args:
        file: the file.
        spec: what it holds.
        provenance: what is known of where it comes from.
        stored: by name, where it holds the fields.
        dtype: that a conversion gives the fields.
        parameters: of each sample in the file, shape (n, p).
        rows: the samples that may be used.
        fixed: fields that are the same for all samples, by the path that `schema` gives them, and
            the masks of the samples that may be used, (n, *grid).
    """

    file: Path
    spec: DatasetSpec
    provenance: Mapping[str, Any]
    stored: Mapping[str, Stored]
    dtype: np.dtype
    parameters: np.ndarray
    rows: range
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def written(self) -> np.ndarray:
        """Indices of the samples that may be used."""
        return np.arange(self.rows.start, self.rows.stop)

    @property
    def records(self) -> schema.Records:
        """What the file says of its samples; hashes it has none, see `hashes`."""
        count = len(self.parameters)
        return schema.Records(
            seed=np.full(count, schema.NO_SEED, "<i8"),
            status=np.full(count, schema.WRITTEN, "u1"),
            hash=np.zeros(count, "<u8"),
            parameters=self.parameters,
            residual=np.full(count, np.nan),
            seconds=np.zeros(count),
        )

    def hashes(self, lines: Sequence[int]) -> list[int]:
        """Hashes of samples, which are read: those that a conversion would store."""
        grid = self.spec.grid
        handle = Handle(self.file, self.stored, grid.shape, (slice(None),) * grid.dims)
        return [sample_hash([*self._arrays(handle, k), self.parameters[k]]) for k in lines]

    def _arrays(self, handle: Handle, line: int) -> list[np.ndarray]:
        arrays = []
        for one in self.spec.varying:
            frames = np.arange(len(self.spec.times) if one.time_varying else 1)[None]
            parts = range(len(one.components(self.spec.grid.dims)))
            read = [handle.frames(one.name, k, np.array([line]), frames)[0] for k in parts]
            whole = np.stack(read, -1) if one.order else read[0]
            arrays.append(whole.astype(self.dtype))
        return arrays
