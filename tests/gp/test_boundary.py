"""Conditions at their places."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import cauchy, dirichlet, neumann, robin
from pdesolve.gp.axis import axes_of
from pdesolve.gp.boundary import functionals_of
from pdesolve.gp.features import Features

AXES = axes_of(Grid((10, 12), (1.0, 2.0), False))
BASIS = Features(torch.tensor([0.8]).double(), 0.0)


def test_outward_normals_change_sign_at_the_low_end():
    boundary = {(0, "low"): neumann(1.0), (0, "high"): robin(2.0, 3.0, 1.0)}
    low, high = functionals_of(boundary, AXES[:1], [2])
    assert (low.terms, low.position) == ({1: -1.0}, 0.0)
    assert (high.terms, high.position) == ({0: 2.0, 1: 3.0}, 1.0)
    at = torch.tensor([1.0]).double()
    torch.testing.assert_close(high.row(BASIS, at.device), (2 * BASIS(at) + 3 * BASIS(at, 1))[0])


def test_cauchy_data_go_along_the_axis():
    value, rate = functionals_of({(0, "low"): cauchy(1.0, 2.0)}, AXES[:1], [2])
    assert (value.terms, rate.terms) == ({0: 1.0}, {1: 1.0})


def test_one_value_serves_all_faces_of_a_second_order_equation():
    found = functionals_of(lambda x, y: x + y, AXES, [2, 2])
    assert [(f.axis, f.position) for f in found] == [(0, 0.0), (0, 1.0), (1, 0.0), (1, 2.0)]
    torch.testing.assert_close(found[1].data([a.nodes for a in AXES]), 1 + AXES[1].nodes)


def test_stored_values_of_a_face():
    stored = {(0, "low"): dirichlet(AXES[1].nodes ** 2)}
    found = functionals_of(stored, AXES, [1, 0])
    torch.testing.assert_close(found[0].data([a.nodes for a in AXES]), AXES[1].nodes ** 2)


@pytest.mark.parametrize(
    ("boundary", "orders", "message"),
    [
        (0.0, [1, 2], "along axis 0 the equation has order 1: give a condition by face"),
        (None, [4, 2], "boundary is missing"),
        ({(2, "low"): dirichlet()}, [1, 0], "boundary has the face"),
        ({(0, "low"): dirichlet(), (0, "high"): dirichlet()}, [1, 0], "outflow or final time"),
    ],
)
def test_data_that_do_not_determine_a_solution_are_refused(boundary, orders, message):
    with pytest.raises(ValueError, match=message):
        functionals_of(boundary, AXES, orders)


def test_a_periodic_axis_takes_no_conditions():
    axes = axes_of(Grid((10,), 1.0, True))
    assert functionals_of(None, axes, [2]) == []
    with pytest.raises(ValueError, match="axis 0 is periodic"):
        functionals_of({(0, "low"): dirichlet()}, axes, [2])
