"""The tables of a suite where people read them: its page, the README of the benchmarks."""

import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from ...evaluation.tables import Table
from ..application import relative, write_text
from .marked import replace_marked
from .other_tables import comparison_table, ratio_table, verb_table
from .plan import EPOCHS, FLOORS
from .suite import Suite
from .summary import Line, lines
from .tables import headline_table, published_figures, tables, variants

# Figures that are costs, in the words of a picture's axis.
COSTS = {
    "seconds": "seconds of training",
    "parameters": "parameters",
    "inference_milliseconds": "milliseconds of a prediction",
    "step_bytes": "bytes of a training step",
}


def tell(suite: Suite, records: Sequence[Mapping[str, Any]], folder: Path, config: Any) -> None:
    """Print the first table, write the page `report.html` and the tables between markers."""
    from ...evaluation.page import document, facts, gallery_of, section

    lined = lines(records)
    found, more = _tables(suite, lined)
    origin = origins(suite, records)
    pictures = _pictures(lined) if suite.plan["kind"] == "train" else []
    sections = [section(table.title, table.html()) for table in [*found, *more]]
    sections[1:1] = [section("Error against cost", gallery_of(pictures))]
    page = document(suite.title, suite.about, *sections, section("Origin", facts(origin)))
    write_text(folder / "report.html", page)
    equal_epochs = bool(variants(lined, EPOCHS))
    if suite.plan["kind"] != "train" or equal_epochs:
        _write_readmes(suite, found, origin, config)
    else:
        # A part alone, such as the learning rates, is no reason to take the tables out.
        print(f"no row of equal epochs: {config.readme} stays as it is", file=sys.stderr)
    for table in found[:1]:
        _print(headline_table(table) if equal_epochs else table)
    print(relative(folder / "report.html"))


def _print(table: Table) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Printed

    printed = Printed(title=escape(table.title), title_justify="left")
    for head in table.heads:
        printed.add_column(escape(head), overflow="fold")  # A name that is cut names nothing.
    for row in table.rows:
        printed.add_row(*map(escape, row))
    Console().print(printed)


def _write_readmes(
    suite: Suite, found: Sequence[Table], origin: Mapping[str, str], config: Any
) -> None:
    name = f"{suite.name} {suite.size}"
    if config.readme:
        text = "\n\n".join(f"**{table.title}**\n\n{table.markdown()}" for table in found)
        note = "; ".join(f"{what}: {value}" for what, value in origin.items() if value)
        whole = f"{suite.about}\n\n{text}\n\n{note}."
        if not replace_marked(Path(config.readme), name, whole):
            print(f"no tables in {config.readme}: no markers of {name!r}", file=sys.stderr)
    if config.headline and suite.plan["kind"] == "train":
        replace_marked(Path(config.headline), name, headline_table(found[0]).markdown())


def _tables(suite: Suite, lined: Sequence[Line]) -> tuple[list[Table], list[Table]]:
    """Return the tables of a suite, and those that only its page has room for."""
    if suite.plan["kind"] == "train":
        published = published_figures(suite.models, suite.name)
        return tables(lined, suite.plan, published), []
    if suite.plan["kind"] == "verb":
        return [verb_table(suite.title, lined, suite.plan["columns"])], []
    return [ratio_table(suite.title, lined)], [comparison_table(lined)]


def _pictures(lined: Sequence[Line]) -> list[Any]:
    from ...evaluation.canvas import png
    from ...evaluation.pareto import pareto_figure
    from ...evaluation.pictures import Picture

    found = []
    for name, cost in COSTS.items():
        points: dict[str, tuple[float, float]] = {}
        for line in variants(lined, EPOCHS):
            price, error = line.mean(name), line.mean("test/l2")
            if line.model not in FLOORS and price and error and isfinite(error):
                # Two models may have one label.
                label = line.label if line.label not in points else f"{line.label} ({line.model})"
                points[label] = price, error
        if points:
            figure = pareto_figure(points, cost=cost, error="relative L2 error")
            caption = f"Relative L2 error after equal epochs against {cost}; the line joins models "
            caption += "that no other beats in both."
            found.append(Picture(f"pareto_{name}", caption, png(figure)))
    return found


def origins(suite: Suite, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return which command, data, code and machines the figures come from."""
    done = [record for record in records if record["status"] == "done"]

    def each(values: Any) -> str:
        return ", ".join(sorted({str(value) for value in values if value}))

    return {
        "command": f"`pdesolve benchmark suite={suite.name} size={suite.size}`",
        "data": each(record["data_hash"][:12] for record in done),
        "code": each(record["code"] for record in done),
        "machine": each(_machine(record["machine"]) for record in done),
    }


def _machine(told: Mapping[str, str]) -> str:
    return f"{told['device']}, torch {told['torch']}, {told['threads']} thread(s)"
