"""What training and evaluation need of a loss."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from ..grid import Grid

Field = Float[Tensor, "b c *grid"]
Mask = Float[Tensor, "b c_mask *grid"] | Bool[Tensor, "b c_mask *grid"]


@runtime_checkable
class Loss(Protocol):
    """What training and evaluation need of a loss: the mean over samples, and each sample's."""

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]: ...

    def per_sample(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, " b"]: ...


class MeanOfSamples(Loss):
    """A loss that is the mean of what its `per_sample` gives."""

    def __call__(
        self,
        prediction: Field,
        target: Field,
        *,
        grid: Grid | None = None,
        mask: Mask | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over samples."""
        return self.per_sample(prediction, target, grid=grid, mask=mask).mean()
