"""Error against cost: which models nobody beats in both."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Cost and error of a model.
Point = tuple[float, float]


def front(points: Mapping[str, Point]) -> list[str]:
    """Return the names of the points that none beats in both, the cheapest first.

    >>> front({"quick": (1.0, 0.3), "good": (4.0, 0.1), "neither": (5.0, 0.2)})
    ['quick', 'good']
    """
    best, names = float("inf"), []
    for name, (_, error) in sorted(points.items(), key=lambda one: one[1]):
        if error < best:
            best = error
            names.append(name)
    return names


def pareto_figure(points: Mapping[str, Point], *, cost: str, error: str) -> "Figure":
    """Return errors over costs, both logarithmic, with a line through the front.

    Args:
        points: cost and error by name, all > 0.
        cost: label of the horizontal axis, with its unit.
        error: label of the vertical axis.
    """
    figure = canvas.figure(7.0, 4.6)
    axes = canvas.plain(figure.subplots())
    best = front(points)
    axes.plot(*zip(*(points[name] for name in best), strict=True), "--", color=canvas.GREY, lw=1.2)
    for number, (name, (x, y)) in enumerate(sorted(points.items(), key=lambda one: one[1])):
        colour = canvas.PREDICTION if name in best else canvas.ERROR
        axes.plot(x, y, "o", color=colour, markersize=6)
        # Neighbours are named in turn above and below, since models of a kind cost much the same.
        place = {"xytext": (5, -11 if number % 2 else 4), "textcoords": "offset points"}
        axes.annotate(name, (x, y), color=colour, fontsize=8, **place)
    axes.set(xscale="log", yscale="log")
    axes.margins(x=0.15, y=0.12)
    canvas.plain_numbers(axes.xaxis)
    canvas.plain_numbers(axes.yaxis)
    canvas.write(axes, x=cost, y=error)
    return figure
