"""Order and divide samples: who sees which sample when, as a function of seed and epoch alone."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from ..batch import Batch
from .data import Data
from .dataset import Dataset
from .errors import SplitError
from .mixture import Mixture
from .point_set import PointSet


class Loader:
    """Batches of a dataset in an order that is f(seed, epoch), so that a run resumes anywhere.

    With several ranks each global batch of batch_size * world samples is dealt out in turn; the
    ranks' batches are of equal size and number. Every sample is seen exactly once per epoch, except
    that the first samples of the order are repeated at its end to make their number a multiple of
    world (fewer than world of them; none with one rank). A `Mixture` has its own order.

    Args:
        dataset: what to read.
        batch_size: samples a batch on this rank; the last batch of an epoch may be smaller.
        seed: of the order.
        shuffle: False keeps the stored order.
        rank, world: which process of how many this is.
    """

    def __init__(
        self,
        dataset: Data,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        if not 0 <= rank < world:
            raise ValueError(f"rank is {rank}, expected 0 to {world - 1} (world is {world})")
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        share = -(-len(self.dataset) // self.world)
        return -(-share // self.batch_size)

    def order(self, epoch: int) -> list[int]:
        """Samples of this rank in the order of an epoch."""
        count = len(self.dataset)
        every = self._shuffled(epoch) if self.shuffle else np.arange(count)
        padded = np.resize(every, -(-count // self.world) * self.world)
        return padded[self.rank :: self.world].tolist()

    def _shuffled(self, epoch: int) -> np.ndarray:
        if isinstance(self.dataset, Mixture):
            return self.dataset.order(self.seed, epoch)
        # Philox is counter-based and the same on every platform.
        bits = np.random.Philox(np.random.SeedSequence([self.seed, epoch]))
        return np.random.Generator(bits).permutation(len(self.dataset))

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Batches of an epoch; `first` skips those that a resumed run has seen."""
        order = self.order(epoch)
        for start in range(first * self.batch_size, len(order), self.batch_size):
            yield self.dataset.batch(order[start : start + self.batch_size])


Divisible = TypeVar("Divisible", Dataset, PointSet)


def split(
    dataset: Divisible, sizes: Mapping[str, int], *, seed: int | None = None
) -> dict[str, Divisible]:
    """Divide a dataset into disjoint parts: all items of a stored sample come into one of them.

    Args:
        dataset: what to divide.
        sizes: stored samples of each part, in the order in which they are taken.
        seed: shuffle first; None keeps the stored order.

    Raises:
        SplitError: a part is empty, or together they need more samples than there are.
    """
    wanted = sum(sizes.values())
    count = dataset.trajectories
    if wanted > count or any(size < 1 for size in sizes.values()):
        raise SplitError(
            f"parts {dict(sizes)} need {wanted} samples",
            file=dataset.path or dataset.name,
            allowed=f"at most {count}, each part at least 1",
        )
    order = np.arange(count)
    if seed is not None:
        order = np.random.Generator(np.random.Philox(seed)).permutation(order)
    ends = np.cumsum(list(sizes.values()))
    return {
        name: dataset.subset(order[end - size : end])
        for (name, size), end in zip(sizes.items(), ends, strict=True)
    }
