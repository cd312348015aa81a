"""An empty figure in the style of the house, and its PNG. Knows nothing of fields or models.

Figures are made by matplotlib's objects, never by pyplot: no global state, no window, any thread.
"""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Told apart by readers with any kind of colour vision. Source: Okabe and Ito 2008.
TRUTH, PREDICTION, ERROR = "#000000", "#0072B2", "#D55E00"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#6b7280"

# Perceptually even, and right in grey print; the error's map is white at zero.
INPUT_MAP, FIELD_MAP, ERROR_MAP = "cividis", "viridis", "RdBu_r"

DOTS_PER_INCH = 150


def figure(width: float, height: float) -> "Figure":
    """Return an empty figure of that many inches that keeps its parts from overlapping."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)


def plain(axes: "Axes", *, grid: bool = True) -> "Axes":
    """Return the axes of a curve, without a frame on the right and above."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelsize=9, which="both")
    if grid:
        axes.grid(color="#e5e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
    return axes


def write(axes: "Axes", *, title: str = "", x: str = "", y: str = "") -> None:
    """Write the title of a picture and what its two axes are."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)


def plain_numbers(axis: "Axis") -> None:
    """Label a logarithmic axis with 0.1, 0.2, 0.5 instead of powers of ten and their multiples."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def labelled(name: str, unit: str = "1") -> str:
    """Return the label of an axis, such as "pressure (Pa)"; the unit 1 is not written."""
    name = name.replace("_", " ")
    return name if unit in ("", "1") else f"{name} ({unit})"


def png(figure: "Figure") -> bytes:
    """Return the figure as a PNG that holds no date and no name of software."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
