"""Objectives that see what a model makes of its own predictions, not only of true frames."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from ..ops.rollout import pushed
from .objective import Loss, one_step, predicted_frames


@dataclass(frozen=True)
class Unrolled:
    """The mean loss of the frames of a rollout; gradients flow back through all of it.

        û_k = model(window ending in û_{k-1}),  k = 1 ... steps;   mean over k of loss(û_k, u_k)

    `fit` lengthens the targets of its datasets (a `Window`) to those of `steps` calls, and judges
    the weights by rollouts of that length. The Fourier neural operator's code sums over the steps;
    the mean leaves good learning rates as they are.

    Args:
        steps: calls of the model, >= 1. Memory and time grow with it.
        detach_between: stop gradients between calls; each call still learns on its own input.
        fixed: first channels of x that are no frames (`Dataset.fixed_channels`).

    Source: Li et al. 2020, arXiv:2010.08895, section 5.3 and its code (FNO-2D in time).
    """

    steps: int
    detach_between: bool = False
    fixed: int = 0

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, expected at least 1 call of the model")

    def __call__(self, model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
        """Return the mean loss over steps and samples."""
        detach = self.detach_between
        frames = predicted_frames(model, batch, self.steps, fixed=self.fixed, detach=detach)
        targets = batch.y.chunk(self.steps, 1)
        losses = [
            loss(frame, target, grid=batch.grid, mask=batch.mask)
            for frame, target in zip(frames, targets, strict=True)
        ]
        return torch.stack(losses).mean()


@dataclass(frozen=True)
class Pushforward:
    """Half the loss of one step from truth, half that of the last step of a rollout.

        ½ loss(model(u), u_1) + ½ loss(model(window ending in û_{steps-1}), u_steps)

    No gradient flows through û_{steps-1}: the model learns to mend the errors that its own
    predictions have, at the cost of two calls with gradients, whatever the steps.

    Args:
        steps: calls of the model, >= 2. Good values 2 to 5.
        fixed: see `Unrolled`.

    Source: Brandstetter, Worrall and Welling 2022, arXiv:2202.03376, section 3.1 (stability loss).
    """

    steps: int = 2
    fixed: int = 0

    def __post_init__(self):
        if self.steps < 2:
            raise ValueError(
                f"steps is {self.steps}, expected at least 2: one step is the objective one_step"
            )

    def __call__(self, model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
        """Return the mean of both losses, averaged over samples."""
        with torch.no_grad():
            frames = predicted_frames(model, batch, self.steps - 1, fixed=self.fixed)
        x = batch.x
        for frame in frames:
            x = pushed(x, frame, fixed=self.fixed)
        first, *_, last = batch.y.chunk(self.steps, 1)
        start = one_step(model, replace(batch, y=first), loss)
        return (start + one_step(model, replace(batch, x=x, y=last), loss)) / 2
