"""Pictures of a solver that chose among priors: their residuals, and the spectrum that it found."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More lines could not be read.
_LINES = 24
# Below it amplitudes are rounding.
_FLOOR = 1e-16


def candidates_figure(candidates: Sequence[Mapping[str, Any]]) -> "Figure":
    """Return the residual and the boundary misfit of candidates, the chosen one filled.

    Args:
        candidates: lines with prior, residual, boundary and chosen; of many the best are shown.
    """
    best = sorted(candidates, key=lambda line: line["residual"] + line["boundary"])[:_LINES][::-1]
    figure = canvas.figure(7.0, 1.2 + 0.24 * len(best))
    axes = canvas.plain(figure.subplots())
    for name, colour, marker in (
        ("residual", canvas.PREDICTION, "o"), ("boundary", canvas.ERROR, "s"),
    ):  # fmt: skip
        values = [max(line[name], _FLOOR) for line in best]
        filled = [colour if line["chosen"] else "white" for line in best]
        axes.scatter(
            values, range(len(best)), c=filled, edgecolors=colour, marker=marker, label=name
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(best)), [f"{line['prior']} ({line['functions']})" for line in best])
    canvas.write(axes, x="relative misfit")
    axes.legend(frameon=False, fontsize=9)
    return figure


def spectra_figure(
    spectra: Sequence[tuple[Float[Tensor, " _"], Float[Tensor, " _"], float]],
    bands: Sequence[Sequence[tuple[float, float]]],
) -> "Figure":
    """Return the amplitude of a solution against frequency, with the bands of its prior.

    Args:
        spectra: for each axis frequencies (cycles per length), amplitudes and Nyquist's frequency.
        bands: for each axis.
    """
    figure = canvas.figure(7.0, 2.4 * len(spectra))
    rows = np.atleast_1d(figure.subplots(len(spectra), 1))
    for number, (axes, (frequencies, amplitude, nyquist), own) in enumerate(
        zip(rows, spectra, bands, strict=True)
    ):
        canvas.plain(axes)
        for low, high in own:
            axes.axvspan(low, high, color=canvas.SERIES[5], alpha=0.3, linewidth=0)
        values = np.maximum(amplitude.numpy(), _FLOOR * float(amplitude.max()))
        axes.semilogy(frequencies.numpy(), values, color=canvas.TRUTH, linewidth=1.0)
        axes.axvline(nyquist, color=canvas.GREY, linestyle="--", linewidth=1.2)
        canvas.write(axes, x=f"frequency along axis {number}, cycles per length", y="amplitude")
    return figure
