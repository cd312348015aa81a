"""The tables of a suite where people read them: its page, the README of the benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..application import relative, write_text
from .marked import replace_marked
from .suite import Suite
from .summary import lines
from .tables import published_figures, tables


def tell(suite: Suite, records: Sequence[Mapping[str, Any]], folder: Path, config: Any) -> None:
    """Write `report.html` in the folder of the suite's runs, and the tables between markers."""
    from ...evaluation.page import document, facts, section

    lined = lines(records)
    found = tables(lined, suite.plan, published_figures(suite.models, suite.name))
    origin = origins(suite, records)
    sections = [section(table.title, table.html()) for table in found]
    page = document(suite.title, suite.about, *sections, section("Origin", facts(origin)))
    write_text(folder / "report.html", page)
    text = "\n\n".join(f"**{table.title}**\n\n{table.markdown()}" for table in found)
    note = "; ".join(f"{name}: {value}" for name, value in origin.items())
    name = f"{suite.name} {suite.size}"
    replace_marked(Path(config.readme), name, f"{suite.about}\n\n{text}\n\n{note}.")
    if found:
        replace_marked(Path(config.headline), name, found[0].markdown())
    print(relative(folder / "report.html"))


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
