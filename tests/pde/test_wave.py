"""The wave equation against d'Alembert's solution."""

import pytest
import torch

from pdesolve.pde import Wave1d


def test_residual_of_a_travelling_shape_vanishes(derivative_at):
    law, generator = Wave1d(speed=1.7), torch.Generator().manual_seed(0)
    t, x = torch.rand(2, 30, generator=generator, dtype=torch.float64)

    def u(t, x):
        return law.exact(t, x, shape=lambda s: torch.exp(-(s**2)) * torch.sin(5 * s))

    assert float(law.residual(derivative_at(t, x), u, source=0.0).abs().max()) < 1e-12
    assert float(Wave1d(speed=1.6).residual(derivative_at(t, x), u, source=0.0).abs().max()) > 0.1
    assert law.linear_part == {(2, 0): 1.0, (0, 2): -(1.7**2)}


def test_a_wave_at_rest_is_refused():
    with pytest.raises(ValueError, match="speed is -1"):
        Wave1d(speed=-1.0)
