"""Records of several seeds as one line of a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean, stdev
from typing import Any


@dataclass(frozen=True)
class Line:
    """One model in one variant, over its seeds.

    Args:
        model, label, variant: whose line it is.
        figures: name to its values, one for each seed that has it.
        reasons: why rows failed or were skipped, one for each kind of reason.
        remarks: figures that are words, such as why a model did not take a grid.
        codes: versions of the package that made the figures.
        task: of the first record.
    """

    model: str
    label: str
    variant: str
    figures: Mapping[str, Sequence[float]]
    reasons: Sequence[str]
    remarks: Mapping[str, str]
    codes: Sequence[str]
    task: Mapping[str, Any]

    def mean(self, name: str) -> float | None:
        """Return the mean of a figure over the seeds, None if no seed has it."""
        values = self.figures.get(name)
        return fmean(values) if values else None

    def spread(self, name: str) -> float | None:
        """Return the standard deviation of a figure over the seeds, None of fewer than two.

        None, too, where a seed's figure is not finite: the mean then says so.
        """
        values = self.figures.get(name, ())
        return stdev(values) if len(values) > 1 and all(map(isfinite, values)) else None

    @property
    def seeds(self) -> int:
        """How many seeds were done."""
        return max((len(values) for values in self.figures.values()), default=0)


def lines(records: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Return a line for each model and variant, in the order of their first records."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        grouped.setdefault((record["model"], record["variant"]), []).append(record)
    return [_line(group) for group in grouped.values()]


def _line(group: Sequence[Mapping[str, Any]]) -> Line:
    done = [record for record in group if record["status"] == "done"]
    names = dict.fromkeys(name for record in done for name in record["figures"])
    figures = {
        name: [number for r in done if (number := _number(r["figures"].get(name))) is not None]
        for name in names
    }
    remarks = {k: v for r in done for k, v in r["figures"].items() if _is_words(v)}
    reasons = dict.fromkeys(r["reason"] for r in group if r["status"] != "done")
    first = group[0]
    return Line(
        first["model"],
        first["label"],
        first["variant"],
        {name: values for name, values in figures.items() if values},
        list(reasons),
        remarks,
        sorted({record["code"] for record in done}),
        first["task"],
    )


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and _number(value) is None


def _number(value: Any) -> float | None:
    """Return a figure as a number, None for words; what is not finite is stored by its name.

    >>> _number(0.5), _number("nan"), _number("too coarse")
    (0.5, nan, None)
    """
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return value if isinstance(value, int | float) else None
