"""Curves that say how good a model is: spectra, errors of all samples, losses over the epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from . import canvas
from .rollout import RolloutErrors
from .spectra import Spectra

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectra_figure(
    spectra: Spectra, *, training_cutoff: float | None = None, length_unit: str = "1"
) -> "Figure":
    """Return the energy of truth, prediction and error against wavenumber, both axes logarithmic.

    Args:
        spectra: means over samples, from `mean_spectra`; the mean mode has no place on the axes.
        training_cutoff: largest wavenumber of the training grid (`spectra.cutoff`), marked: what
            is to the right of it the model has never seen.
        length_unit: unit of the grid's lengths.
    """
    figure = canvas.figure(7.0, 4.2)
    axes = canvas.plain(figure.subplots())
    kappa = spectra.wavenumbers[1:].numpy()
    for name, colour, dashes in (
        ("truth", canvas.TRUTH, "-"),
        ("prediction", canvas.PREDICTION, (0, (4, 2))),
        ("error", canvas.ERROR, "-"),
    ):
        energy = getattr(spectra, name)[1:].numpy()
        # An empty shell is a gap; a logarithm of zero would end the line at the bottom.
        energy = np.where(energy > 0, energy, np.nan)
        axes.plot(kappa, energy, color=colour, linestyle=dashes, linewidth=1.8, label=name)
    axes.set(xscale="log", yscale="log")
    canvas.plain_numbers(axes.xaxis)
    if training_cutoff is not None:
        axes.axvline(training_cutoff, color=canvas.GREY, linestyle=":", linewidth=1.4)
        axes.annotate(
            "end of the training grid",
            (training_cutoff, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 0),
            textcoords="offset points",
            ha="right",
            rotation=90,
            fontsize=8,
            color=canvas.GREY,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    inverse = length_unit if length_unit == "1" else f"1/{length_unit}"
    kappa_label = canvas.labelled("wavenumber |κ|", inverse)
    canvas.write(axes, x=kappa_label, y="energy in the shell, mean over samples")
    axes.legend(frameon=False, fontsize=9)
    return figure


def error_histogram(l2: Float[Tensor, " samples"]) -> "Figure":
    """Return how the relative L2 errors of all samples spread, with their mean and median.

    Errors that are not finite are left out and counted in the title.
    """
    finite = l2[l2.isfinite()].numpy()
    figure = canvas.figure(7.0, 3.4)
    axes = canvas.plain(figure.subplots())
    if len(finite):
        bins = int(np.clip(2 * np.sqrt(len(finite)), 5, 60))
        axes.hist(finite, bins=bins, color=canvas.SERIES[5], edgecolor="white", linewidth=0.6)
        axes.plot(finite, np.zeros_like(finite), "|", color=canvas.GREY, clip_on=False)
        for name, value, style in (
            ("mean", finite.mean(), "-"),
            ("median", np.median(finite), "--"),
        ):
            label = f"{name} {value:.3g}"
            axes.axvline(value, color=canvas.ERROR, linestyle=style, linewidth=1.8, label=label)
        axes.legend(frameon=False, fontsize=9)
    axes.set_xlim(left=0)
    missing = len(l2) - len(finite)
    title = f"{missing} more samples are not finite" if missing else ""
    canvas.write(axes, title=title, x="relative L2 error of a sample", y="samples")
    return figure


def rollout_curves(errors: RolloutErrors, *, time_unit: str = "1") -> "Figure":
    """Return the relative L2 error of rollouts against time, with the spread over the samples.

    The line is the median, the band holds the middle eight tenths of the samples, and the dashes
    are the median of standing still. Errors that are not finite lie above everything.
    """
    figure = canvas.figure(7.0, 3.8)
    axes = canvas.plain(figure.subplots())
    highest = np.nan_to_num(errors.l2.numpy(), nan=np.inf, posinf=np.inf)
    # "lower" picks a sample's own error: between a finite one and infinity nothing is half way.
    low, median, high = np.quantile(highest, (0.1, 0.5, 0.9), axis=0, method="lower")
    still = np.median(errors.persistence.numpy(), axis=0)
    marker = "." if len(errors.times) <= 60 else ""
    top = np.where(np.isfinite(high), high, np.finfo(np.float32).max)
    axes.plot(errors.times, np.where(np.isfinite(median), median, np.nan), marker, ls="-",
              color=canvas.PREDICTION, label="model, median")  # fmt: skip
    axes.fill_between(errors.times, low, top, color=canvas.PREDICTION, alpha=0.2, linewidth=0,
                      label="8 of 10 samples")  # fmt: skip
    axes.plot(errors.times, still, color=canvas.GREY, ls="--", label="standing still, median")
    axes.set_ylim(0, 1.1 * max(still.max(), high[np.isfinite(high)].max(initial=0.0)))
    canvas.write(axes, x=canvas.labelled("time", time_unit), y="relative L2 error")
    axes.legend(frameon=False, fontsize=9)
    return figure


def loss_curves(history: Sequence[Mapping[str, float | None]]) -> "Figure":
    """Return training and validation figures against the epoch, logarithmic, the best one marked.

    Args:
        history: a line per epoch as the training loop logs it: epoch, and numbers whose names
            begin with train/ or valid/. None and missing numbers are skipped.
    """
    from matplotlib.ticker import MaxNLocator

    names = sorted({name for line in history for name in line if _is_curve(name)})
    figure = canvas.figure(7.0, 3.8)
    axes = canvas.plain(figure.subplots())
    epochs = _column(history, "epoch")
    for name, colour in zip(names, canvas.SERIES, strict=False):
        values = _column(history, name)
        known = np.isfinite(values)
        marker = "." if len(history) <= 60 else ""
        axes.plot(
            epochs[known], values[known], marker=marker, color=colour, label=_curve_label(name)
        )
        if name.startswith("valid/") and known.any():
            best = int(np.nanargmin(values))
            axes.plot(epochs[best], values[best], "o", markersize=9, mfc="none", color=colour)
            note = f"{values[best]:.3g}"
            place = {"xytext": (0, -15), "textcoords": "offset points", "ha": "center"}
            axes.annotate(note, (epochs[best], values[best]), color=colour, fontsize=9, **place)
    axes.set_yscale("log")
    axes.margins(y=0.15)
    canvas.plain_numbers(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.write(axes, x="epoch")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _column(history: Sequence[Mapping[str, float | None]], name: str) -> np.ndarray:
    column = (line.get(name) for line in history)
    return np.array([np.nan if value is None else value for value in column], float)


def _is_curve(name: str) -> bool:
    return name.startswith(("train/", "valid/"))


def _curve_label(name: str) -> str:
    split, quantity = name.split("/", 1)
    words = {"train": "training", "valid": "validation", "l2": "relative L2 error"}
    return f"{words[split]} {words.get(quantity, quantity)}"
