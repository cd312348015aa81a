"""The heat equation on a line against a decaying mode."""

import pytest
import torch

from pdesolve.pde import Heat1d


def test_residual_of_a_decaying_mode_vanishes(derivative_at):
    law, generator = Heat1d(diffusivity=0.3), torch.Generator().manual_seed(0)
    t, x = torch.rand(2, 30, generator=generator, dtype=torch.float64)

    def u(t, x):
        return law.exact(t, x, mode=3, length=1.4)

    assert float(law.residual(derivative_at(t, x), u, source=0.0).abs().max()) < 1e-12
    assert float(Heat1d(0.2).residual(derivative_at(t, x), u, source=0.0).abs().max()) > 0.1


def test_a_rod_that_cools_backwards_is_refused():
    with pytest.raises(ValueError, match=r"diffusivity is -1\.0"):
        Heat1d(diffusivity=-1.0)
