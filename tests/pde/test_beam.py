"""The beam against its deflection under a constant load."""

import pytest
import torch

from pdesolve.pde import Beam


def test_residual_of_the_exact_deflection_vanishes(derivative_at):
    law, x = Beam(stiffness=2.5), torch.linspace(0, 1.3, 21, dtype=torch.float64)
    residual = law.residual(
        derivative_at(x), lambda x: law.exact(x, length=1.3, load=7.0), source=7.0
    )
    assert float(residual.abs().max()) < 1e-12
    assert law.linear_part == {(4,): 2.5}


def test_the_exact_deflection_is_clamped(derivative_at):
    law, ends = Beam(), torch.tensor([0.0, 1.3], dtype=torch.float64)
    d = derivative_at(ends)
    for order in (0, 1):
        value = d(lambda x: law.exact(x, length=1.3), (order,))
        torch.testing.assert_close(value, torch.zeros_like(ends), rtol=0, atol=1e-15)


def test_a_beam_without_stiffness_is_refused():
    with pytest.raises(ValueError, match="stiffness is 0"):
        Beam(stiffness=0.0)
