"""Random views of a sample under which the equation stays the same."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..batch import Batch
from ..datasets import Dataset


@runtime_checkable
class Augmentation(Protocol):
    """What `fit` asks of an augmentation; it holds no state, so that a run resumes exactly."""

    def check(self, dataset: Dataset) -> None:
        """Refuse a dataset that this augmentation would make wrong, before the first step."""
        ...

    def __call__(self, batch: Batch, indices: Sequence[int], *, seed: int, epoch: int) -> Batch:
        """Return the batch with each sample changed by what (seed, epoch, its index) give."""
        ...
