import math

import pytest
import torch

from pdesolve.gp.kernels import Matern, RationalQuadratic, SquaredExponential

Z = torch.tensor([-1.1, 0.0, 0.4], dtype=torch.float64)


def test_values_are_the_formulas():
    r = Z.abs()
    s = math.sqrt(3) * r / 0.7
    formulas = {
        SquaredExponential(0.7): torch.exp(-(Z**2) / (2 * 0.49)),
        Matern(0.5, 0.7): torch.exp(-r / 0.7),
        Matern(1.5, 0.7): (1 + s) * torch.exp(-s),
        RationalQuadratic(0.7, 1.9): (1 + Z**2 / (2 * 1.9 * 0.49)) ** -1.9,
    }
    for kernel, expected in formulas.items():
        torch.testing.assert_close(kernel.derivs(Z, 0)[0].detach(), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("nu", [2.0, 0.0, -0.5, 2.4])
def test_a_smoothness_that_is_no_half_integer_is_refused(nu):
    with pytest.raises(ValueError, match=f"nu is {nu}, expected a half-integer"):
        Matern(nu)


def test_float32_distances_meet_float32_kernels():
    assert SquaredExponential().float().derivs(Z.float(), 2)[2].dtype == torch.float32
