"""Whether steps of a model that is told how far to go add up to one step of their sum."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets import Dataset, Mixture
from ..datasets.windows import LEAD_TIME
from ..ops import norms
from .inference import Model, predictions
from .rollout import planned


def semigroup_defects(
    model: Model,
    dataset: Dataset | Mixture,
    *,
    hops: Sequence[int] | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Float[Tensor, " samples"]:
    """Return how far steps are from the one call that they make up, for each trajectory.

        ‖S(t_n) ... S(t_1) u - S(t_1 + ... + t_n) u‖ / ‖S(t_1 + ... + t_n) u‖

    Truth is not looked at: the flow of an autonomous equation has defect 0, and so has a model
    that is wrong in a consistent way.

    Args:
        model: trained on pairs of frames.
        dataset: of `Pairs`; u are its first frames, the last call ends at its last ones. Of a
            mixture one member, from `Mixture.alone`; channels that are not judged are left out.
        hops: lead times of the steps in frames; by default two halves of the trajectory.
        batch_size, device: see `metrics.evaluate`.

    Returns:
        float64 on the CPU, one number a trajectory.

    Raises:
        ValueError: the dataset has no lead time, the model takes none, or the steps do not end at
            the last frame.
    """
    if dataset.condition_names[:1] != (LEAD_TIME,):
        raise ValueError(
            f"dataset {dataset.name} has conditions {dataset.condition_names}, expected lead_time "
            f"first: open it with window=Pairs()"
        )
    frames = len(dataset.rolled().target_times or ())
    plans = [
        planned(model, dataset, steps)
        for steps in (hops or [frames // 2, frames - frames // 2], [frames])
    ]
    options = {"batch_size": batch_size, "device": device}
    runs = [predictions(plan.model, plan.dataset, **options) for plan in plans]
    parts = []
    for ends in zip(*runs, strict=True):
        stepped, once = (
            prediction[:, plan.channels[-plan.width :]].double()
            for plan, (_, prediction) in zip(plans, ends, strict=True)
        )
        mask = plans[1].mask(ends[1][0])
        parts.append(norms.relative_lp(stepped, once, mask=mask).cpu())
    return torch.cat(parts)
