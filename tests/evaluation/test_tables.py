import pytest

from pdesolve.evaluation.tables import Table


@pytest.fixture
def table():
    rows = [["A|B", "0.1", "", "<b>"], ["C", "", "", "2"]]
    return Table("errors", ["model", "l2", "h1", "note"], rows, "x < y")


def test_columns_that_say_nothing_are_left_out(table):
    assert table.shown().heads == ["model", "l2", "note"]
    assert [len(row) for row in table.shown().rows] == [3, 3]


def test_markdown_keeps_bars_inside_their_cell(table):
    lines = table.markdown().splitlines()
    assert lines[1] == "|---|---|---|---|"
    assert lines[2] == "| A\\|B | 0.1 |  | <b> |"
    assert lines[-1] == "x < y"


def test_html_is_escaped(table):
    html = table.html()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "x &lt; y" in html


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, expected 2"):
        Table("errors", ["model", "l2"], [["A"]])
