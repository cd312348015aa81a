"""The Korteweg-de Vries equation against its soliton."""

import pytest
import torch

from pdesolve.pde import KortewegDeVries


@pytest.mark.parametrize("law", [KortewegDeVries(), KortewegDeVries(1.0, 0.0225)], ids=str)
def test_residual_of_the_soliton_vanishes(law, derivative_at):
    generator = torch.Generator().manual_seed(0)
    t, x = torch.rand(2, 30, generator=generator, dtype=torch.float64)

    def u(t, x):
        return law.soliton(t, x, speed=0.9, start=0.2)

    assert float(law.residual(derivative_at(t, x), u, source=0.0).abs().max()) < 1e-10
    other = KortewegDeVries(law.nonlinearity, 2 * law.dispersion)
    assert float(other.residual(derivative_at(t, x), u, source=0.0).abs().max()) > 0.01


def test_a_backward_soliton_is_refused():
    with pytest.raises(ValueError, match=r"speed is -1\.0"):
        KortewegDeVries().soliton(torch.zeros(1), torch.zeros(1), speed=-1.0)
