"""Relative Sobolev error whose order moves while a model is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from .loss import Field, Mask, MeanOfSamples
from .sobolev import Sobolev


@dataclass(frozen=True)
class SobolevCurriculum(MeanOfSamples):
    """Relative H^s error of an order s that is a function of the epoch.

    The orders stand at equal distances from the first epoch to the last, and between two of them
    s moves in a straight line; an order that is given twice stays for as long. An epoch has one
    order throughout, so a run that is resumed goes on as it would have.

    Outside of training, where there is no epoch, it is the error of the last order.

    Args:
        orders: orders in their course, one or more. Good values: (1, 0), gradients first, for a
            small H^1 error at the L^2 error of order 0; (-1, 0), large scales first.
        homogeneous: see `Sobolev`.

    Raises:
        ValueError: no order.
    """

    orders: Sequence[float]
    homogeneous: bool = False

    def __post_init__(self):
        if not self.orders:
            raise ValueError("orders is empty, expected one order or more, such as (1, 0)")

    def at(self, epoch: int, epochs: int) -> Sobolev:
        """Return the loss of one epoch of a run, counted from 0.

        >>> [SobolevCurriculum((1, 0)).at(epoch, 5).order for epoch in range(5)]
        [1.0, 0.75, 0.5, 0.25, 0.0]
        """
        last = len(self.orders) - 1
        if last == 0:
            return self._of(self.orders[0])
        place = last * epoch / max(epochs - 1, 1)
        before = min(int(place), last - 1)
        share = place - before
        return self._of((1 - share) * self.orders[before] + share * self.orders[before + 1])

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]:
        """Relative error of each sample in the last order, shape (b,)."""
        return self._of(self.orders[-1]).per_sample(prediction, target, grid=grid, mask=mask)

    def _of(self, order: float) -> Sobolev:
        return Sobolev(order, self.homogeneous)
