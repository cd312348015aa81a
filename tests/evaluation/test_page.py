import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pdesolve.evaluation.page import Findings, page
from pdesolve.evaluation.pictures import Picture

FINDINGS = Findings(
    "Darcy flow",
    "A model of 3 parameters.",
    {"test/l2": 0.05, "test/l2_std": 0.01, "test/samples": 50.0, "parameters": 72417.0},
    references={"training mean": {"test/l2": 0.5, "test/h1": 0.7}},
    pictures=[Picture("worst_sample", "The worst.", b"\x89PNG", wide=True)],
    dataset={"hash": "a1b2"},
    environment={"torch": "2.13"},
    command="pdesolve train",
    configuration="modes: [16, 16]",
)


class Outline(HTMLParser):
    """Tags that are still open, what an element refers to, and the text."""

    void = ("meta", "img", "br")

    def __init__(self, html):
        super().__init__()
        self.open, self.references, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data.split()


def text_of(findings):
    return " ".join(Outline(page(findings)).text)


def test_every_element_is_closed():
    assert Outline(page(FINDINGS)).open == []


def test_page_refers_to_nothing_but_its_own_pictures():
    html = page(FINDINGS)
    assert Outline(html).references == ["data:image/png;base64,iVBORw=="]
    assert not re.search(r"https?://|@import|url\(|<script|<link", html)
    assert "default-src 'none'" in html


def test_error_comes_first_and_beside_its_reference():
    text = text_of(FINDINGS)
    assert "0.05 mean relative L2 error of 50 samples ± 0.01" in text
    assert "10 times smaller than training mean" in text


def test_model_that_is_worse_than_its_reference_is_said_to_be():
    worse = replace(FINDINGS, references={"interpolation": {"test/l2": 0.02}})
    assert "2.5 times larger than interpolation" in text_of(worse)


def test_every_figure_and_its_reference_stand_in_the_table():
    text = text_of(FINDINGS)
    assert "Relative H1 error the same with gradients" in text
    assert "0.7" in text
    assert "Parameters real numbers that were learned 72 417" in text


def test_origin_of_the_figures_is_told():
    text = text_of(FINDINGS)
    for words in ("pdesolve train", "hash a1b2", "torch 2.13", "modes: [16, 16]"):
        assert words in text


@pytest.mark.parametrize(
    "place",
    [
        "title",
        "summary",
        "command",
        "configuration",
        "dataset",
        "environment",
        "references",
        "pictures",
    ],
)
def test_every_text_is_escaped(place):
    evil = '<script>alert("&")</script>'
    values = {"dataset": {evil: evil}, "environment": {evil: evil}}
    values["references"] = {evil: {"test/l2": 0.1}}
    values["pictures"] = [Picture("a", evil, b"")]
    html = page(replace(FINDINGS, **{place: values.get(place, evil)}))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_unknown_figure_keeps_its_name_escaped():
    html = page(replace(FINDINGS, metrics={"test/<b>odd_name": 1.0}, references={}))
    assert "&lt;b&gt;odd name" in html


def test_figures_that_are_not_finite_are_said_to_be():
    broken = replace(FINDINGS, metrics={"test/l2": math.nan})
    assert "not finite" in text_of(broken)


def test_findings_of_nothing_make_a_page():
    assert "Pictures" not in text_of(Findings("Empty", "", {}))
