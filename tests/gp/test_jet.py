"""The pointwise form of residuals against hand derivatives."""

import pytest
import torch

from pdesolve.gp.jet import jet_of
from pdesolve.pde import AllenCahn, Burgers1d, Poisson


def test_orders_and_coefficients_of_a_nonlinear_residual():
    jet = jet_of(AllenCahn(dims=2, diffusivity=0.5, reaction=3.0).steady_residual, 2, {})
    assert set(jet.orders) == {(0, 0), (2, 0), (0, 2)}
    derivatives = torch.randn(3, 7, generator=torch.Generator().manual_seed(0)).double()
    u = derivatives[jet.orders.index((0, 0))]
    found = jet.linearised(derivatives, torch.zeros(0, 7).double())
    torch.testing.assert_close(found[jet.orders.index((0, 0))], 3 * (3 * u**2 - 1))
    torch.testing.assert_close(found[jet.orders.index((2, 0))], torch.full_like(u, -0.5))
    assert not jet.is_linear(torch.zeros(0, 7).double())


def test_linear_residuals_are_recognised_with_their_source():
    jet = jet_of(Poisson(dims=1), 1, {"source": torch.zeros(4)})
    known = torch.arange(5.0).double()[None]
    assert jet.known_orders == (("source", (0,)),)
    assert jet.is_linear(known)
    torch.testing.assert_close(jet.value(torch.zeros(1, 5).double(), known), -known[0])


def test_a_source_that_the_residual_does_not_take_is_subtracted():
    jet = jet_of(lambda d, u: 2 * d(u, (1,)), 1, {"source": torch.zeros(4)})
    value = jet.value(torch.full((1, 3), 5.0).double(), torch.ones(1, 3).double())
    torch.testing.assert_close(value, torch.full((3,), 9.0).double())


def test_derivatives_of_given_fields_are_asked_for_by_name():
    def residual(d, u, *, coefficient):
        return d(coefficient, (1,)) * d(u, (1,)) + d(coefficient, (0,)) * d(u, (2,))

    jet = jet_of(residual, 1, {"coefficient": torch.zeros(4)})
    assert jet.known_orders == (("coefficient", (0,)), ("coefficient", (1,)))


@pytest.mark.parametrize(
    ("residual", "message"),
    [
        (lambda d, u: u**2, "reads its unknown and its fields only as d"),
        (lambda d, u, *, a: d(u, (0,)), "cannot be evaluated"),
        (lambda d, u: torch.zeros(()), "reads no derivative of its unknown"),
        (lambda d, u: d(u, (1, 0)), "on a grid of 1 axes"),
        (lambda d, u: d(d(u, (1,)) + torch.zeros(3), (1,)), "that it computed"),
    ],
)
def test_residuals_that_cannot_be_read_pointwise_are_refused(residual, message):
    with pytest.raises(ValueError, match=message):
        jet_of(residual, 1, {})


def test_burgers_linearised_along_its_velocity():
    jet = jet_of(Burgers1d(viscosity=0.1), 2, {})
    derivatives = torch.randn(
        len(jet.orders), 4, generator=torch.Generator().manual_seed(1)
    ).double()
    slope = derivatives[jet.orders.index((0, 1))]
    found = jet.linearised(derivatives, torch.zeros(0, 4).double())
    torch.testing.assert_close(found[jet.orders.index((0, 0))], slope)
