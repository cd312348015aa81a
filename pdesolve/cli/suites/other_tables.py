"""The tables of suites that train nothing: problems and verbs, and ratios of times."""

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any

from ...evaluation.tables import Table
from .summary import Line


def verb_table(title: str, lines: Sequence[Line], columns: Mapping[str, str]) -> Table:
    """Return a line for each row of a verb.

    Args:
        title: of the table.
        lines: of the suite.
        columns: names of figures by the heads of their columns.
    """
    rows = [
        [line.label, *(_short(line.mean(name)) for name in columns.values()), _note(line)]
        for line in lines
    ]
    return Table(title, ["", *columns, "note"], rows).shown()


def ratio_table(title: str, lines: Sequence[Line]) -> Table:
    """Return the least, the geometric mean and the largest ratio of each script."""
    rows = []
    for line in lines:
        medians = [values[0] for _, values in _medians(line)]
        cells = ["", "", "", ""]
        if medians:
            mean = exp(sum(map(log, medians)) / len(medians))
            cells = [str(len(medians)), *map(_short, (min(medians), mean, max(medians)))]
        rows.append([line.label, *cells, line.remarks.get("what") or _note(line)])
    heads = ["script", "comparisons", "least", "geometric mean", "largest", "what"]
    return Table(title, heads, rows).shown()


def comparison_table(lines: Sequence[Line]) -> Table:
    """Return every ratio with its quartiles."""
    rows = []
    for line in lines:
        for place, (median, low, high) in _medians(line):
            quartiles = f"{_short(median)} ({_short(low)} to {_short(high)})"
            rows.append([line.label, place, quartiles])
    return Table("All comparisons", ["script", "what", "ratio (quartiles)"], rows)


def _medians(line: Line) -> list[tuple[str, tuple[float, float, float]]]:
    found = []
    for place, values in line.figures.items():
        if not place.endswith(("/low", "/high")):
            low, high = (line.figures[f"{place}/{end}"][0] for end in ("low", "high"))
            found.append((place, (values[0], low, high)))
    return found


def _note(line: Line) -> str:
    return "; ".join(line.reasons)


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.3g}"
