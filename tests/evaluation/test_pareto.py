import pytest

from pdesolve.evaluation.canvas import png
from pdesolve.evaluation.pareto import front, pareto_figure

POINTS = {"a": (1.0, 0.3), "b": (2.0, 0.3), "c": (3.0, 0.1), "d": (0.5, 0.9), "e": (4.0, 0.2)}


def test_the_front_is_what_none_beats_in_both():
    beaten = {
        name
        for name, (cost, error) in POINTS.items()
        if any(
            other != (cost, error) and other[0] <= cost and other[1] <= error
            for other in POINTS.values()
        )
    }
    assert front(POINTS) == ["d", "a", "c"]
    assert set(front(POINTS)) == set(POINTS) - beaten


def test_the_cheaper_of_equal_errors_is_on_the_front():
    assert front({"dear": (2.0, 0.1), "cheap": (1.0, 0.1)}) == ["cheap"]


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_every_model_is_named_in_the_picture(names):
    figure = pareto_figure({name: POINTS[name] for name in names}, cost="seconds", error="L2")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == set(names)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert png(figure).startswith(b"\x89PNG")
