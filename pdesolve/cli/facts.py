"""What `pdesolve data inspect` found, as one reads it: a few lines and a table of fields."""

import sys
from collections.abc import Mapping
from typing import Any

_WIDTH = 140


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print what is in a file or a folder."""
    from rich.console import Console

    # In a file or a pipe lines may be longer than those of a terminal that is not there.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    console.print(f"[bold]{title}[/bold]")
    for name, value in _lines(facts):
        console.print(f"{name:>16}  {value}", soft_wrap=True)
    console.print(_table(facts["fields"]))


def _lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts but the fields, one line each, the short ones first."""
    lines = [("name", facts["name"]), ("grid", _grid(facts["grid"])), ("times", _times(facts))]
    lines.append(("equation", _call(facts["equation"] or "none named", facts)))
    if facts["parameters"]:
        lines.append(("parameters", ", ".join(facts["parameters"]) + " of each sample"))
    for split, counts in facts.get("splits", {"samples": facts}).items():
        lines.append((split, _counts(counts)))
    lines += [("lacking", line) for line in facts.get("lacking", [])]
    if not facts.get("complete", True):
        lines.append(("unfinished", "its writer has not finished"))
    lines.append(("mask", "one for every sample or for all" if facts["mask"] else "none"))
    lines.append(("data hash", facts["data_hash"] or "no manifest"))
    lines += [(name, str(value)) for name, value in facts["provenance"].items()]
    return lines


def _counts(counts: Mapping[str, Any]) -> str:
    written, samples = counts["written"], counts["samples"]
    missing = samples > written + counts["rejected"]
    told = f"{written}{f' of {samples}' if missing else ''} samples, "
    told += f"{counts['bytes'] / 2**20:.1f} MiB"
    if counts["rejected"]:
        told += f", {counts['rejected']} rejected"
    return told + (f", {counts['files']} files" if counts.get("files", 1) > 1 else "")


def _grid(grid: Mapping[str, Any]) -> str:
    axes = [
        f"{n} {grid['placement']}s on {length:g}{' (periodic)' if periodic else ''}"
        for n, length, periodic in zip(
            grid["shape"], grid["lengths"], grid["periodic"], strict=True
        )
    ]
    return " x ".join(axes)


def _times(facts: Mapping[str, Any]) -> str:
    times = facts["times"]
    return (
        f"{len(times)}, from {times[0]:g} to {times[-1]:g}" if len(times) > 1 else f"{times[0]:g}"
    )


def _call(name: str, facts: Mapping[str, Any]) -> str:
    # Recorded times have a line of their own.
    given = {k: v for k, v in facts["equation_parameters"].items() if k != "times"}
    return f"{name}({', '.join(f'{k}={v}' for k, v in given.items())})"


def _table(fields: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table("field", "role", "units", "shape", "mean", "std", "min", "max")
    for name, one in fields.items():
        shape = " x ".join(map(str, one["shape"])) + ("" if one["sample_varying"] else ", once")
        figures = [_figure(one["statistics"].get(key)) for key in ("mean", "std", "min", "max")]
        table.add_row(name, one["role"], one["units"], shape, *figures)
    return table


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return ", ".join(f"{v:.4g}" for v in value) if isinstance(value, list) else f"{value:.4g}"
