import math

import torch

from pdesolve.gp.kernels import GaussianMixture, StudentTMixture

Z = torch.linspace(-1.3, 1.3, 11, dtype=torch.float64)


def test_a_gaussian_mixture_is_envelopes_times_cosines():
    found = GaussianMixture([0.4, 2.0], [0.3, 0.8], [0.5, 1.2]).derivs(Z, 0)[0].detach()
    expected = 0.3 * torch.exp(-(Z**2) / 0.5) * torch.cos(0.8 * math.pi * Z)
    expected += 0.8 * torch.exp(-(Z**2) / 2.88) * torch.cos(4 * math.pi * Z)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)


def test_a_student_t_mixture_is_the_published_kernel():
    """Matérn 5/2 times cosine, weights 1/Q."""
    found = StudentTMixture([0.4, 2.0], lengthscales=0.5).derivs(Z, 0)[0].detach()
    s = math.sqrt(5) * Z.abs() / 0.5
    envelope = (1 + s + s**2 / 3) * torch.exp(-s)
    expected = envelope * (torch.cos(0.8 * math.pi * Z) + torch.cos(4 * math.pi * Z)) / 2
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)


def test_gradients_reach_weights_lengthscales_and_frequencies():
    kernel = StudentTMixture([0.4, 2.0])
    sum(kernel.derivs(Z, 4)).square().sum().backward()
    assert all(bool((p.grad != 0).all()) for p in kernel.parameters())
