"""Pictures of what an equation says of predictions: estimated errors, before and after."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..grid import Grid
from . import canvas
from .pictures import Picture
from .spectra import energy_spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def estimate_picture(
    estimated: Float[Tensor, " samples"], true: Float[Tensor, " samples"], *, prefix: str = ""
) -> Picture:
    """Return the estimated error of each prediction against the true one."""
    ratio = (estimated / true)[(true > 0) & estimated.isfinite()].numpy()
    told = ""
    if len(ratio):
        low, middle, high = np.quantile(ratio, (0.05, 0.5, 0.95))
        told = (
            f" Estimate over truth: median {middle:.3g}, 9 of 10 within {low:.3g} and {high:.3g}."
        )
    return Picture(
        f"{prefix}estimates",
        f"Error as the equation estimates it, without the truth, against the true one.{told}",
        canvas.png(estimate_figure(estimated, true)),
    )


def estimate_figure(
    estimated: Float[Tensor, " samples"], true: Float[Tensor, " samples"]
) -> "Figure":
    """Return a scatter of two errors on logarithmic axes, with the line where they agree.

    Errors that are zero or not finite have no place on the axes.
    """
    shown = (true > 0) & (estimated > 0) & estimated.isfinite() & true.isfinite()
    x, y = true[shown].numpy(), estimated[shown].numpy()
    figure = canvas.figure(4.6, 4.4)
    axes = canvas.plain(figure.subplots())
    if len(x):
        ends = np.array([min(x.min(), y.min()) / 1.2, max(x.max(), y.max()) * 1.2])
        axes.plot(ends, ends, color=canvas.GREY, linewidth=1.0, label="agreement")
        axes.fill_between(ends, ends / 2, ends * 2, color=canvas.GREY, alpha=0.12, linewidth=0,
                          label="within a factor of two")  # fmt: skip
        axes.plot(x, y, "o", markersize=4, color=canvas.PREDICTION, alpha=0.7)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        canvas.plain_numbers(axes.xaxis)
        canvas.plain_numbers(axes.yaxis)
        axes.legend(frameon=False, fontsize=9)
    canvas.write(axes, x="true relative L2 error", y="estimated")
    return figure


def refinement_pictures(
    before: Float[Tensor, "b t *grid"],
    after: Float[Tensor, "b t *grid"],
    truth: Float[Tensor, "b t *grid"],
    estimated: Float[Tensor, "b t"],
    *,
    grid: Grid,
    times: Sequence[float],
) -> list[Picture]:
    """Return errors against time, where there is more than one, and their spectra.

    Args:
        before, after: the predictions and what they were refined to.
        truth: likewise.
        estimated: errors of `after`, of each time.
        grid: in space.
        times: of axis 1.
    """
    found = []
    if len(times) > 1:
        found.append(
            Picture(
                "refinement",
                "Relative L2 error against time before and after, medians over the samples, and "
                "as the equation estimates it without the truth.",
                canvas.png(_against_time(before, after, truth, estimated, times)),
            )
        )
    caption = "Energy of the truth and of the errors by wavenumber, before and after."
    figure = _spectra(before, after, truth, grid)
    return [*found, Picture("refinement_spectra", caption, canvas.png(figure))]


def _against_time(
    before: Tensor, after: Tensor, truth: Tensor, estimated: Tensor, times: Sequence[float]
) -> "Figure":
    size = truth.flatten(2).norm(dim=2)
    figure = canvas.figure(7.0, 3.8)
    axes = canvas.plain(figure.subplots())
    for name, error, colour, dashes in (
        ("prediction", (before - truth).flatten(2).norm(dim=2) / size, canvas.PREDICTION, "-"),
        ("refined", (after - truth).flatten(2).norm(dim=2) / size, canvas.ERROR, "-"),
        ("refined, estimated", estimated, canvas.GREY, "--"),
    ):
        line = error.median(0).values.numpy()
        axes.plot(times, np.where(line > 0, line, np.nan), dashes, color=colour, label=name)
    axes.set_yscale("log")
    canvas.write(axes, x="time", y="relative L2 error")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _spectra(before: Tensor, after: Tensor, truth: Tensor, grid: Grid) -> "Figure":
    figure = canvas.figure(7.0, 4.2)
    axes = canvas.plain(figure.subplots())
    for name, field, colour in (
        ("truth", truth, canvas.TRUTH),
        ("error of the prediction", before - truth, canvas.PREDICTION),
        ("error after refinement", after - truth, canvas.ERROR),
    ):
        kappa, energy = energy_spectrum(field, grid)
        mean = energy.mean(0)[1:].numpy()
        axes.plot(kappa[1:].numpy(), np.where(mean > 0, mean, np.nan), color=colour, label=name)
    axes.set(xscale="log", yscale="log")
    canvas.plain_numbers(axes.xaxis)
    canvas.write(axes, x="wavenumber |κ|", y="energy in the shell, mean over samples")
    axes.legend(frameon=False, fontsize=9)
    return figure
