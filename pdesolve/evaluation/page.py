"""The report as one HTML page that needs nothing else: no network, no script, no other file."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import isfinite
from pathlib import Path

from .glossary import GLOSSARY, REFERENCES, explained, figure, place
from .pictures import Picture

STYLE = Path(__file__).with_name("report.css")
# A browser that obeys it loads nothing from anywhere, whatever the page says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Findings:
    """What a report shows; every text is plain text, and escaped.

    Args:
        title: what was tested.
        summary: one or two sentences: which model, which problem, how much data.
        metrics: figures of the model by flat name, such as "test/l2", "test@33/h1", "seconds".
        references: the same names for what a reader should compare with, by name of the
            reference, such as {"training mean": {"test/l2": 0.49}}; the names in
            `glossary.REFERENCES` are explained on the page.
        pictures: in the order of the page.
        unseen: what the figures cannot see, such as an error of the equation, and why.
        dataset: facts about the data, such as name and hash.
        environment: versions and device.
        command: what was typed.
        configuration: YAML text.
    """

    title: str
    summary: str
    metrics: Mapping[str, float]
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    dataset: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    configuration: str = ""


def page(findings: Findings) -> str:
    """Return the page: the error first, beside its references, then pictures, figures, origin."""
    return document(
        findings.title,
        findings.summary,
        _headlines(findings),
        section("Pictures", gallery_of(findings.pictures)),
        section("All figures", _table(findings)),
        section("What no residual sees", facts(findings.unseen)),
        section("Command", _text(findings.command)),
        section("Data", facts(findings.dataset)),
        section("Environment", facts(findings.environment)),
        section("Configuration", _text(findings.configuration)),
    )


def document(title: str, summary: str, *sections: str) -> str:
    """Return a page in the house's style: title, a sentence or two, and sections of HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="summary">{escape(summary)}</p>
</header>
<main>
{"".join(sections)}</main>
</body>
</html>
"""


def section(title: str, content: str) -> str:
    """Return a section of a page, nothing where there is no content."""
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>\n" if content else ""


def _headlines(findings: Findings) -> str:
    names = [name for name in findings.metrics if name.endswith("/l2")]
    cards = "".join(_headline(name, findings) for name in sorted(names))
    if not cards:
        return ""
    notes = "".join(
        f"<p><small><b>{escape(name)}</b>: {escape(REFERENCES[name])}</small></p>\n"
        for name in findings.references
        if name in REFERENCES
    )
    return f'<section>\n<div class="headlines">\n{cards}</div>\n{notes}</section>\n'


def _headline(name: str, findings: Findings) -> str:
    value = findings.metrics[name]
    rivals = {
        rival: figures[name] for rival, figures in findings.references.items() if name in figures
    }
    spread = findings.metrics.get(f"{name}_std")
    samples = findings.metrics.get(name.removesuffix("l2") + "samples")
    words = ["mean relative L2 error"]
    words += [] if samples is None else [f"of {figure(samples)} samples"]
    words += [] if spread is None else [f"± {figure(spread)} from sample to sample"]
    bars = _bars({"this model": value, **rivals}) if rivals else ""
    return f"""<div class="headline">
<h3>{escape(place(name))}</h3>
<div class="figure">{figure(value)}</div>
<small>{" ".join(words)}</small>
{"".join(_verdict(value, rival, other) for rival, other in rivals.items())}
{bars}</div>
"""


def _verdict(value: float, rival: str, other: float) -> str:
    rival = escape(rival)
    if figure(value) == figure(other):
        return f'<p class="verdict worse">no smaller than {rival}</p>'
    if value < other:
        return f'<p class="verdict">{other / value:.3g} times smaller than {rival}</p>'
    if value > other > 0:
        return f'<p class="verdict worse">{value / other:.3g} times larger than {rival}</p>'
    return ""


def _bars(values: Mapping[str, float]) -> str:
    largest = max([value for value in values.values() if isfinite(value)], default=0.0)
    rows = []
    for name, value in values.items():
        share = 100 * value / largest if isfinite(value) and largest > 0 else 0
        kind = ' class="model"' if name == "this model" else ""
        rows.append(
            f"<li{kind}><span>{escape(name)}</span><span>{figure(value)}</span>"
            f'<span class="bar" style="width:{share:.1f}%"></span></li>\n'
        )
    return f'<ul class="bars">\n{"".join(rows)}</ul>\n'


def gallery_of(pictures: Sequence[Picture]) -> str:
    """Return pictures with their captions, the wide ones first."""
    wide = [_picture(one, "40rem") for one in pictures if one.wide]
    curves = [_picture(one, "0") for one in pictures if not one.wide]
    return "".join(wide) + (f'<div class="curves">\n{"".join(curves)}</div>\n' if curves else "")


def _picture(one: Picture, least: str) -> str:
    data = b64encode(one.data).decode("ascii")
    caption = escape(one.caption)
    return (
        f'<figure style="--least:{least}">\n<div class="scroll">'
        f'<img alt="{caption}" src="data:image/{one.kind};base64,{data}"></div>\n'
        f"<figcaption>{caption}</figcaption>\n</figure>\n"
    )


def _table(findings: Findings) -> str:
    columns = [findings.metrics, *findings.references.values()]
    names = sorted({name for column in columns for name in column}, key=_reading_order)
    heads = "".join(
        f'<th scope="col">{escape(name)}</th>' for name in ("this model", *findings.references)
    )
    rows = "\n".join(_rows(names, columns))
    return (
        f'<div class="scroll"><table>\n<thead><tr><th scope="col">Figure</th>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _rows(names: Sequence[str], columns: Sequence[Mapping[str, float]]) -> Iterator[str]:
    last = ""
    for name in names:
        if place(name) != last:
            last = place(name)
            group = f'<th scope="rowgroup" colspan="{len(columns) + 1}">{escape(last)}</th>'
            yield f'<tr class="group">{group}</tr>'
        title, explanation = explained(name)
        row = f'<th scope="row">{escape(title)}<small>{escape(explanation)}</small></th>'
        for column, figures in enumerate(columns):
            kind = "" if column else ' class="model"'
            row += f"<td{kind}>{figure(figures[name]) if name in figures else ''}</td>"
        yield f"<tr>{row}</tr>"


def _reading_order(name: str) -> tuple[bool, str, int, str]:
    # By test set, figures of the run last; within a set in the order of the glossary.
    where, _, quantity = name.rpartition("/")
    known = list(GLOSSARY)
    position = known.index(quantity) if quantity in known else len(known)
    return not where, where, position, name


def facts(told: Mapping[str, str]) -> str:
    """Return names and values as a list."""
    rows = (f"<dt>{escape(name)}</dt><dd>{escape(str(v))}</dd>" for name, v in told.items())
    return f"<dl>{''.join(rows)}</dl>" if told else ""


def _text(text: str) -> str:
    return f"<pre>{escape(text.rstrip())}</pre>" if text.strip() else ""
