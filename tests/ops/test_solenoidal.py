import pytest
import torch

from pdesolve.ops import fourier
from pdesolve.ops.solenoidal import solenoidal

LENGTHS = (1.0, 2.5)


def noise(*shape, generator):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(8, 9), (9, 8), (6, 10), (7, 5)])
def test_the_rest_is_a_gradient_and_the_result_has_no_divergence(shape, generator):
    velocity = noise(2, 2, 3, *shape, generator=generator)
    u, v = solenoidal(velocity, LENGTHS).unbind(1)
    divergence = fourier.derivative(u, (1, 0), LENGTHS) + fourier.derivative(v, (0, 1), LENGTHS)
    torch.testing.assert_close(divergence, torch.zeros_like(u), rtol=0, atol=1e-11)
    u, v = velocity[:, 0] - u, velocity[:, 1] - v
    curl = fourier.derivative(v, (1, 0), LENGTHS) - fourier.derivative(u, (0, 1), LENGTHS)
    torch.testing.assert_close(curl, torch.zeros_like(u), rtol=0, atol=1e-11)


def test_a_curl_stays_and_a_gradient_goes(generator):
    potential = fourier.truncate(noise(2, 8, 10, generator=generator), (7, 9))
    dx, dy = (fourier.derivative(potential, orders, LENGTHS) for orders in ((1, 0), (0, 1)))
    curl, gradient = torch.stack([dy, -dx], 1) + 3.0, torch.stack([dx, dy], 1)
    torch.testing.assert_close(solenoidal(curl, LENGTHS), curl, rtol=0, atol=1e-11)
    zero = torch.zeros_like(gradient)
    torch.testing.assert_close(solenoidal(gradient, LENGTHS), zero, rtol=0, atol=1e-11)


def test_components_that_do_not_fit_the_box_are_refused():
    with pytest.raises(ValueError, match="expected 2 components on axis 1"):
        solenoidal(torch.ones(2, 3, 8, 8), LENGTHS)
