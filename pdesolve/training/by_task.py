"""Several tasks in one batch, each counted by itself."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..batch import Batch
from .objective import Loss, predict


@dataclass(frozen=True)
class ByTask:
    """One-step objective in which every task of a batch has its own mean loss.

        equal          1/T Σ_τ L_τ
        uncertainty    1/T Σ_τ ½ log L_τ

    L_τ is the mean loss over the batch's samples of task τ, T the number of tasks in it. However
    many samples a task has, it counts as much as the others. "uncertainty" is the sum
    L_τ / (2 σ_τ²) + log σ_τ of learned noise levels σ_τ at its minimum, σ_τ² = L_τ: a task on which
    the error is small weighs more, and scales of the tasks do not matter. Nothing is learned
    beside the model, so a run resumes exactly.

    Args:
        task: the condition that tells a sample's task by a number, as "form" of Fisher-KPP.
        weighting: "equal" or "uncertainty".

    Raises:
        ValueError: when called: the samples have no such condition, or a loss without
            `per_sample`.

    Source: Kendall et al. 2018, arXiv 1705.07115, equation 7, minimised over σ.
    """

    task: str
    weighting: Literal["equal", "uncertainty"] = "equal"

    def __call__(self, model: nn.Module, batch: Batch, loss: Loss) -> Float[Tensor, ""]:
        """Return the objective of a batch, a scalar."""
        if batch.condition is None or self.task not in batch.condition_names:
            raise ValueError(
                f"task is {self.task!r}, expected one of the samples' parameters "
                f"{batch.condition_names}: name the one that numbers their task"
            )
        per_sample = getattr(loss, "per_sample", None)
        if per_sample is None:
            raise ValueError(
                f"loss is {loss}, expected one with per_sample, as those of pdesolve.losses: a "
                f"mean over all samples cannot be divided among tasks"
            )
        errors = per_sample(predict(model, batch), batch.y, grid=batch.grid, mask=batch.mask)
        numbers = batch.condition[:, batch.condition_names.index(self.task)]
        tasks, position = numbers.unique(return_inverse=True)
        totals = errors.new_zeros(len(tasks)).index_add(0, position, errors)
        means = totals / torch.bincount(position)
        return means.mean() if self.weighting == "equal" else means.log().mean() / 2
