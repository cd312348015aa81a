"""Parameters from noisy sensors: within their posterior, and gradients against differences."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp import dirichlet
from pdesolve.gp.inverse import SensorMisfit, Sensors, infer


def sensors(exact, count=200, noise=0.01, seed=1, dims=2):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, dims, generator=generator, dtype=torch.float64)
    values = exact(*points.T) + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return Sensors(points, values, noise)


def advected(known_inflow):
    """Return the advection problem whose inflow signal is fixed or goes with the speed."""

    def model(theta):
        def u(t, x):
            return torch.sin(x - (200.0 if known_inflow else theta[0]) * t)

        return {
            "equation": lambda d, v: d(v, (1, 0)) + theta[0] * d(v, (0, 1)),
            "boundary": {(0, "low"): dirichlet(u), (1, "low"): dirichlet(u)},
        }

    return model


def heated(theta):
    return {
        "equation": lambda d, u: (
            d(u, (1, 0)) - theta[0].exp() * d(u, (0, 2)) + theta[1] * d(u, (0, 0))
        ),
        "boundary": {
            (0, "low"): dirichlet(lambda t, x: torch.sin(3 * x) + 0 * t),
            (1, "low"): dirichlet(0.0),
            (1, "high"): dirichlet(lambda t, x: torch.sin(3 * x) * torch.exp(-t) + 0 * x),
        },
    }  # fmt: skip


@pytest.mark.slow
def test_the_advection_speed_is_found_within_one_in_ten_thousand():
    measured = sensors(lambda t, x: torch.sin(x - 200 * t))
    found = infer(advected(False), Grid((200, 200), 1.0, False), measured, [199.0])
    assert found.converged
    assert abs(float(found.parameters[0]) / 200 - 1) < 1e-4
    assert abs(float(found.parameters[0]) - 200) < 4 * float(found.std[0])
    # Fisher's bound: σ / √(Σ t² cos²), with t uniform on [0, 1].
    assert float(found.std[0]) == pytest.approx(0.01 / (200 / 6) ** 0.5, rel=0.2)


@pytest.mark.slow
def test_a_known_inflow_leaves_the_speed_to_the_phase_along_x():
    measured = sensors(lambda t, x: torch.sin(x - 200 * t))
    found = infer(advected(True), Grid((200, 200), 1.0, False), measured, [199.0])
    assert abs(float(found.parameters[0]) - 200) < 4 * float(found.std[0])
    # u = sin(200(x/c - t)): du/dc = -(x/c) cos, so the bound is σ c / √(Σ x² cos²).
    assert float(found.std[0]) == pytest.approx(0.01 * 200 / (200 / 6) ** 0.5, rel=0.2)


def test_diffusivity_and_reaction_lie_within_their_posterior():
    def exact(t, x):
        return torch.sin(3 * x) * torch.exp(-t)

    # u_t - k u_xx + r u = 0 for u = e^-t sin 3x needs 9k + r = 1: the data tell this sum only.
    prior = (torch.tensor([-2.3, 0.1]).double(), torch.tensor([1.0, 0.05]).double())
    measured = sensors(exact, count=60)
    found = infer(heated, Grid((24, 26), 1.0, False), measured, [-2.0, 0.0], prior=prior)
    k, r = float(found.parameters[0].exp()), float(found.parameters[1])
    assert found.converged
    assert 9 * k + r == pytest.approx(1.0, abs=0.02)
    assert float(found.std[1]) == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("theta", [[-2.0, 0.0], [-1.5, 0.3]])
def test_the_adjoint_gradient_is_the_difference_quotient(theta):
    measured = sensors(lambda t, x: torch.sin(3 * x) * torch.exp(-t), count=40)
    start = torch.tensor([-2.0, 0.0]).double()
    misfit = SensorMisfit(heated, Grid((24, 26), 1.0, False), measured, start)
    at = torch.tensor(theta).double()
    _, gradient = misfit.gradient(at)
    step = 1e-4
    quotient = [
        (misfit.gradient(at + step * e)[0] - misfit.gradient(at - step * e)[0]) / (2 * step)
        for e in torch.eye(2).double()
    ]
    torch.testing.assert_close(gradient, torch.tensor(quotient).double(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_log_permeability_on_a_coarse_basis():
    # (e^m u')' = f with m = θ_1 + θ_2 cos πx on [0, 1].
    truth = torch.tensor([0.3, -0.5]).double()

    def model(theta):
        def a(x):
            return torch.exp(theta[0] + theta[1] * torch.cos(torch.pi * x))

        def residual(d, u, *, x, source):
            here = d(x, (0,))
            slope = -theta[1] * torch.pi * torch.sin(torch.pi * here) * a(here)
            return a(here) * d(u, (2,)) + slope * d(u, (1,)) - d(source, (0,))

        return {
            "equation": residual,
            "source": lambda x: 10 * torch.sin(7 * x),
            "boundary": 0.0,
            "fields": {"x": lambda x: x},
        }

    start = torch.zeros(2).double()
    grid = Grid((48,), 1.0, False)
    measured = sensors(lambda x: 0 * x, count=40, noise=1e-4, dims=1)
    misfit = SensorMisfit(model, grid, measured, start)
    form, free = misfit.solved(truth)
    values = measured.values + misfit.predicted(form.core(free))
    found = infer(model, grid, Sensors(measured.points, values, 1e-4), start)
    assert found.converged
    assert bool(((found.parameters - truth).abs() < 4 * found.std).all())
    assert float(found.std.max()) < 0.05
