import math

import pytest
import torch

from pdesolve.ops import fourier
from pdesolve.ops.defect import before, carried, carried_coarsely, integrated, low_band, propagator


def decay(u: torch.Tensor, rate: float) -> torch.Tensor:
    return math.exp(-rate) * u


def test_each_step_starts_from_the_state_before_it():
    states = torch.tensor([[[1.0], [2.0], [3.0]]])
    assert before(torch.zeros(1, 1), states).flatten().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("orders", "shape", "lengths"),
    [((1,), (7,), (2.0,)), ((2, 0), (6, 9), (1.0, 3.0)), ((1, 1), (9, 7), (1.0, 2.0)),
     ((3,), (9,), (1.0,)), ((4,), (8,), (2.0,))],
)  # fmt: skip
def test_propagator_is_the_exponential_of_the_derivative(orders, shape, lengths, device, generator):
    u = torch.randn(2, *shape, dtype=torch.float64, generator=generator).to(device)
    small = 1e-7
    axes = tuple(range(1, u.ndim))
    factor = propagator({orders: 1.0}, small, shape, lengths, dtype=torch.float64, device=device)
    moved = torch.fft.irfftn(factor * torch.fft.rfftn(u, dim=axes), s=shape, dim=axes)
    wanted = fourier.derivative(u, orders, lengths)
    # The difference quotient is off by its own curvature and loses seven digits.
    scale = wanted.abs().max()
    assert ((moved - u) / small - wanted).abs().max() < 1e-3 * scale


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 13])
def test_scan_equals_the_recursion(steps, device, generator):
    d = torch.randn(3, steps, 5, 6, dtype=torch.float64, generator=generator).to(device)
    factor = propagator(
        {(2, 0): 0.1, (0, 1): 0.3}, 0.2, (5, 6), (1.0, 2.0), dtype=torch.float64, device=device
    )
    e = torch.zeros_like(d[:, 0])
    expected = []
    for step in range(steps):
        moved = factor * torch.fft.rfftn(e, dim=(-2, -1))
        e = torch.fft.irfftn(moved, s=(5, 6), dim=(-2, -1)) + d[:, step]
        expected.append(e)
    torch.testing.assert_close(integrated(d, factor), torch.stack(expected, 1), rtol=0, atol=1e-13)


def test_carried_defects_of_the_solver_itself_are_the_whole_error(generator):
    def solver(u):
        return u + 0.3 * torch.sin(u)

    anchor = torch.randn(2, 7, dtype=torch.float64, generator=generator)
    own = [anchor]
    for _ in range(6):
        own.append(solver(own[-1]))
    truth = torch.stack(own[1:], 1)
    states = truth + 0.3 * torch.randn(truth.shape, dtype=torch.float64, generator=generator)
    starts = before(anchor, states)
    errors = carried(solver, starts, solver(starts) - states)
    torch.testing.assert_close(states + errors, truth, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(6, 8), (9, 7)])
def test_low_band_holds_the_modes_that_two_thirds_leave(shape, generator):
    u = torch.randn(1, 1, 18, 21, dtype=torch.float64, generator=generator)
    spectrum = torch.fft.fft2(low_band(u, shape), norm="forward")
    k = [torch.fft.fftfreq(n, 1 / n).abs() for n in shape]
    kept = (3 * k[0][:, None] < shape[0]) & (3 * k[1] < shape[1])
    whole = torch.fft.fft2(u, norm="forward")
    assert spectrum[0, 0][~kept].abs().max() < 1e-15
    assert (spectrum[0, 0, 1, -1] - whole[0, 0, 1, -1]).abs() < 1e-15


def test_linear_equation_is_carried_the_same_on_both_grids(generator):
    linear, shape, lengths = {(2,): 0.01}, (30,), (1.0,)
    d = torch.randn(2, 5, 30, dtype=torch.float64, generator=generator)
    starts = torch.randn(2, 5, 30, dtype=torch.float64, generator=generator)

    def coarse(u):
        factor = propagator(linear, 0.1, u.shape[-1:], lengths, dtype=u.dtype)
        return torch.fft.irfft(factor * torch.fft.rfft(u), n=u.shape[-1])

    factor = propagator(linear, 0.1, shape, lengths, dtype=d.dtype)
    found = carried_coarsely(coarse, starts, d, factor, (16,))
    torch.testing.assert_close(found, integrated(d, factor), rtol=0, atol=1e-13)
