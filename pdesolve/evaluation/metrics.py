"""How wrong a model is on a dataset: errors per sample in physical units, and their means."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..batch import Batch
from ..grid import Grid
from ..losses import RelativeL2, Sobolev
from ..ops import norms
from .inference import Model, Samples, predictions
from .spectra import mode_energy, wavenumbers

Residual = Callable[[Batch, Tensor], Tensor]

BANDS = ("band_low", "band_mid", "band_high")


def evaluate(
    model: Model,
    dataset: Samples,
    *,
    residual: Residual | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Return the model's errors on the dataset: means over samples of `per_sample`.

    Every sample counts the same, also in a last batch that is not full.

    Args:
        model: called as `model(x)`, or `model(x, condition)` where the data has a condition.
        dataset: samples in physical units.
        residual: relative residual of the equation per sample, `residual(batch, prediction)`
            of shape (b,); adds the keys residual and residual_of_truth.
        batch_size: samples a call, changes memory and time only.
        device: where a module and the batches are brought; by default the
            batches go where the module is.

    Returns:
        l2, h1, max, band_low, band_mid, band_high, residual, residual_of_truth: means over samples
        of the errors that `per_sample` defines (l2 and max alone at scattered points); l2_std:
        standard deviation of l2 over the samples; l2_worst, worst_sample: the largest l2 and its
        index; samples: how many.

    Raises:
        ValueError: the dataset is empty, or a prediction has a wrong shape.
    """
    values = per_sample(model, dataset, residual=residual, batch_size=batch_size, device=device)
    return summarize(values)


def summarize(values: dict[str, Float[Tensor, " samples"]]) -> dict[str, float]:
    """Return the means of the errors per sample, with the spread and the worst sample of l2."""
    l2 = values["l2"]
    ratio = {}
    if "estimated" in values:
        ratio["estimated_ratio"] = float((values["estimated"] / l2).median())
    # A prediction that is not finite is the worst there can be, and argmax would not say so.
    worst = int(torch.nan_to_num(l2, nan=torch.inf).argmax())
    return {
        **{name: float(value.mean()) for name, value in values.items()},
        **ratio,
        "l2_std": float(l2.std(correction=0)),
        "l2_worst": float(l2[worst]),
        "worst_sample": float(worst),
        "samples": float(len(l2)),
    }


def per_sample(
    model: Model,
    dataset: Samples,
    *,
    residual: Residual | None = None,
    estimate: Residual | None = None,
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> dict[str, Float[Tensor, " samples"]]:
    """Return the errors of each sample by name, in the dataset's order, float64 on the CPU.

    With e = prediction - u over all channels and points (the points inside the mask, if any):

        l2      ‖e‖ / ‖u‖
        h1      (‖e‖² + ‖∇e‖²)^½ / (‖u‖² + ‖∇u‖²)^½
        max     max |e| / max |u|
        band_*  (Σ_band |ê_k|² / Σ |û_k|²)^½, the part of l2 that lies in a third of the resolved
                wavenumbers: band_low² + band_mid² + band_high² = l2²

    ∇ is spectral if all axes are periodic, else by finite differences (`losses.Sobolev`); with a
    mask there is no h1, since derivatives would reach across its edge. Where u is zero there is no
    relative error, and the absolute one stands in (`ops.norms.ratio`).

    The thirds are those of the distance (Σ_j (κ_j h_j / π)²)^½ from the mean mode, in units of
    each axis' shortest resolved wave; modes beyond 1, in the corners, belong to band_high. Axes
    that are not periodic use the cosine transform of `spectra.mode_energy`, which sees zeros
    outside of a mask.

    With an `estimate(batch, prediction)` of the relative L2 error, (b,), which does not see the
    truth, there is `estimated` too.

    Norms are taken in float64 whatever the model's dtype. Arguments, errors: see `evaluate`.
    """
    collected: dict[str, list[Tensor]] = {}
    for batch, prediction in predictions(model, dataset, batch_size=batch_size, device=device):
        errors = _errors(batch, prediction)
        if residual is not None:
            errors["residual"] = residual(batch, prediction)
            errors["residual_of_truth"] = residual(batch, batch.y)
        if estimate is not None:
            errors["estimated"] = estimate(batch, prediction)
        for name, value in errors.items():
            collected.setdefault(name, []).append(value.double().cpu())
    if not collected:
        raise ValueError("dataset has 0 samples, expected at least one: choose another split")
    return {name: torch.cat(values) for name, values in collected.items()}


def representatives(l2: Float[Tensor, " samples"]) -> dict[str, int]:
    """Return the indices of the best, the median and the worst sample.

    Of an even number of samples the better one of the two in the middle is the median.

    >>> representatives(torch.tensor([0.3, 0.1, 0.9, 0.2]))
    {'best': 1, 'median': 3, 'worst': 2}
    """
    order = l2.argsort(stable=True).tolist()
    return {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]}


def _errors(batch: Batch, prediction: Tensor) -> dict[str, Tensor]:
    prediction, target, mask = prediction.double(), batch.y.double(), batch.mask
    errors = {
        "l2": RelativeL2().per_sample(prediction, target, mask=mask),
        "max": norms.relative_lp(prediction, target, p=math.inf, mask=mask),
    }
    if batch.grid is None:
        return errors
    error = prediction - target
    if mask is None:
        errors["h1"] = Sobolev(1).per_sample(prediction, target, grid=batch.grid)
    else:
        error, target = (torch.where(mask.bool(), u, 0) for u in (error, target))
    return errors | _bands(error, target, batch.grid)


def _bands(error: Tensor, target: Tensor, grid: Grid) -> dict[str, Tensor]:
    spacing = torch.tensor(grid.spacing, dtype=torch.float64).reshape(-1, *[1] * grid.dims)
    resolved = wavenumbers(grid) * spacing / torch.pi
    # A mode exactly on a third belongs to the band above it, whatever the rounding.
    third = (3 * resolved.square().sum(0).sqrt() + 1e-9).floor().clamp(max=2).to(error.device)
    # Divided by the channels as in `norms.relative_lp`, whose rule for a zero target is kept.
    of_error = 2 / error.shape[1] * mode_energy(error, grid)
    size = (2 / target.shape[1] * mode_energy(target, grid)).flatten(1).sum(1).sqrt()
    return {
        name: norms.ratio((of_error * (third == band)).flatten(1).sum(1).sqrt(), size)
        for band, name in enumerate(BANDS)
    }
