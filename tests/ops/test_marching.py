"""Steps follow the speed, and end where they are asked to."""

import math

import pytest
import torch

from pdesolve.ops.marching import CourantMarch
from pdesolve.ops.vorticity import VorticityTransport

N = 24
TRANSPORT = VorticityTransport((N, N), (1.0, 1.0), dtype=torch.float64)
X = torch.arange(N, dtype=torch.float64)[:, None].expand(N, N) / N
# One wave along x: v = sin(2πx), ω = 2π cos(2πx), largest speed 1, and no self-advection.
WAVE = 2 * math.pi * (2 * math.pi * X).cos()
CALM = torch.zeros(N, N, dtype=torch.float64)
KAPPA = 2 * math.pi * N / 3


def march(force=CALM, courant=1.0, viscosity=0.0):
    linear = -viscosity * TRANSPORT.squared_wavenumber
    return CourantMarch(
        TRANSPORT, linear, TRANSPORT.spectrum(force), scheme="ifrk4", courant=courant
    )


@pytest.mark.parametrize(("duration", "speed"), [(1.0, 1.0), (0.3, 2.0), (1e-4, 1.0)])
def test_steps_are_the_fewest_within_the_limit(duration, speed):
    marching = march()
    marching.advance(TRANSPORT.spectrum(speed * WAVE)[None], duration)
    assert marching.steps == max(1, math.ceil(duration * speed * KAPPA))


def test_a_time_is_hit_exactly():
    marching = march(viscosity=0.1)
    found = TRANSPORT.field(marching.advance(TRANSPORT.spectrum(WAVE)[None], 0.7))
    expected = WAVE * math.exp(-0.1 * (2 * math.pi) ** 2 * 0.7)
    assert torch.allclose(found[0], expected, rtol=0, atol=1e-12)


def test_a_force_limits_the_first_step_of_a_flow_at_rest():
    # Force WAVE adds speed t in time t: dt² κ = 1 for the first step, and it fills the time.
    duration = KAPPA**-0.5
    for factor, steps in ((0.99, 1), (1.01, 2)):
        marching = march(force=WAVE)
        marching.advance(TRANSPORT.spectrum(CALM)[None], factor * duration)
        assert marching.steps == steps


def test_no_time_takes_no_step():
    marching = march()
    spectrum = TRANSPORT.spectrum(WAVE)[None]
    assert marching.advance(spectrum, 0.0) is spectrum
    assert marching.steps == 0
    assert float(marching.error_estimate(spectrum)) == 0


def test_a_flow_that_is_not_finite_does_not_stop_the_others():
    both = torch.stack([WAVE, torch.full_like(WAVE, torch.nan)])
    found = TRANSPORT.field(march().advance(TRANSPORT.spectrum(both), 0.1))
    assert torch.allclose(found[0], WAVE, rtol=0, atol=1e-12)
    assert not bool(found[1].isfinite().any())


@pytest.mark.parametrize("courant", [0.0, -1.0, math.nan])
def test_a_courant_number_that_is_not_positive_is_refused(courant):
    with pytest.raises(ValueError, match="courant is"):
        march(courant=courant)
