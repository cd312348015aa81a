"""What a model saves: error at equal data, data at equal error, from errors by training size."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..datasets import Dataset, Mixture
from ..layers import Normalized
from ..losses import GroupedRelativeL1
from .inference import Model, Samples, predictions
from .rollout import planned

# Error of a test set by the number of training samples.
Curve = Mapping[int, float]


def accuracy_gain(baseline: Curve, model: Curve, samples: int) -> float:
    """Return AG_S = E_S(baseline) / E_S(model), both trained on S samples.

    >>> accuracy_gain({64: 0.2}, {64: 0.05}, 64)
    4.0

    Raises:
        ValueError: one of them was not trained on so many samples.

    Source: Herde et al. 2024, arXiv:2405.19101, appendix D; there S is 128 for problems in time
    and 512 for steady ones, and the baseline an FNO.
    """
    return _at(baseline, samples, "baseline") / _at(model, samples, "model")


def efficiency_gain(baseline: Curve, model: Curve, samples: int) -> float:
    """Return EG_S = S / s, s the samples with which the model has the baseline's error at S.

    Between measured sizes s is interpolated linearly in the logarithms of size and error, at the
    first size whose error is as small. 0 where the model never gets there. A model that is as
    good at its smallest size has s equal to that size: what it gains is then at least EG.

    >>> efficiency_gain({64: 0.1}, {1: 0.4, 4: 0.2, 16: 0.1}, 64)
    4.0

    Raises:
        ValueError: the baseline was not trained on so many samples.

    Source: Herde et al. 2024, arXiv:2405.19101, appendix D; there S is 1024 for problems in time
    and 4096 for steady ones. The interpolation is not said there.
    """
    target = _at(baseline, samples, "baseline")
    sizes = sorted(model)
    reached = next((i for i, size in enumerate(sizes) if model[size] <= target), None)
    if reached is None:
        return 0.0
    if reached == 0:
        return samples / sizes[0]
    small, large = sizes[reached - 1], sizes[reached]
    fallen = math.log(model[small] / target) / math.log(model[small] / model[large])
    return samples / (small * (large / small) ** fallen)


def scaling_exponent(curve: Curve) -> float:
    """Return α of E = C S^-α, by least squares in the logarithms.

    >>> round(scaling_exponent({1: 1.0, 4: 0.5, 16: 0.25}), 6)
    0.5

    Raises:
        ValueError: fewer than two sizes.
    """
    if len(curve) < 2:
        raise ValueError(f"curve has {len(curve)} sizes, expected at least two")
    sizes = torch.tensor([math.log(size) for size in curve], dtype=torch.float64)
    errors = torch.tensor([math.log(error) for error in curve.values()], dtype=torch.float64)
    sizes, errors = sizes - sizes.mean(), errors - errors.mean()
    return -float((sizes @ errors) / (sizes @ sizes))


def grouped_errors(
    model: Model,
    dataset: Samples,
    groups: Sequence[int],
    *,
    normalized: bool = False,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "samples g"]:
    """Return the relative L1 error of each quantity of each sample, float64 on the CPU.

    Its median over the samples, averaged over the quantities, is the error that Poseidon's paper
    reports in per cent, there of normalised fields at the last time.

    Args:
        model, dataset, batch_size, device: see `metrics.evaluate`.
        groups: channels of each quantity; see `losses.GroupedRelativeL1`.
        normalized: compare the fields that a `Normalized` model works on, not physical ones.

    Raises:
        ValueError: normalised fields are asked for of a model that is not `Normalized`.
    """
    _check_normalized(model, normalized=normalized)
    error, parts = GroupedRelativeL1(groups), []
    for batch, prediction in predictions(model, dataset, batch_size=batch_size, device=device):
        fields = [prediction.double(), batch.y.double()]
        if isinstance(model, Normalized) and normalized:
            fields = _standardised(model, fields)
        parts.append(error.per_group(*fields, mask=batch.mask).cpu())
    return torch.cat(parts)


def final_errors(
    model: Model,
    dataset: Dataset | Mixture,
    groups: Sequence[int],
    *,
    hops: Sequence[int] | None = None,
    normalized: bool = False,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "samples g"]:
    """Return the relative L1 error of each quantity of each trajectory at its last time.

    Args:
        model, dataset, hops, batch_size, device: see `rollout.rollout_errors`.
        groups, normalized: see `grouped_errors`.

    Raises:
        ValueError, SchemaError: as both of them.
    """
    _check_normalized(model, normalized=normalized)
    plan = planned(model, dataset, hops)
    error, parts, last = GroupedRelativeL1(groups), [], plan.channels[-plan.width :]
    options = {"batch_size": batch_size, "device": device}
    for batch, prediction in predictions(plan.model, plan.dataset, **options):
        fields = [prediction[:, last].double(), batch.y[:, last].double()]
        if isinstance(model, Normalized) and normalized:
            fields = _standardised(model, fields)
        mask = plan.mask(batch)
        mask = None if mask is None else mask[:, -plan.width :]
        parts.append(error.per_group(*fields, mask=mask).cpu())
    return torch.cat(parts)


def median_error(errors: Float[Tensor, "samples g"]) -> float:
    """Return the mean over quantities of the median over samples; unseen quantities are left out.

    Of an even number of samples the median is the mean of the two in the middle.
    """
    medians = errors.nanquantile(0.5, dim=0)
    return float(medians[medians.isfinite()].mean())


def _check_normalized(model: Model, *, normalized: bool) -> None:
    if normalized and not isinstance(model, Normalized):
        raise ValueError(
            f"normalized with a model {type(model).__name__}, expected Normalized, which knows "
            f"the statistics: leave normalized out for physical fields"
        )


def _standardised(model: Normalized, fields: Sequence[Tensor]) -> list[Tensor]:
    """Fields as the operator inside works on them; frames share the statistics of the first one."""
    channels, dims = fields[0].shape[1], fields[0].ndim - 2
    mean, std = (s[:channels].reshape(-1, *[1] * dims) for s in (model.y_mean, model.y_std))
    return [(field - mean) / std for field in fields]


def _at(curve: Curve, samples: int, name: str) -> float:
    if samples not in curve:
        raise ValueError(
            f"{name} was not trained on {samples} samples, expected one of {sorted(curve)}"
        )
    return curve[samples]
