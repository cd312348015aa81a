"""Losses and predictions of the authors' code (jax 0.10.2), a few Adam steps on small grids."""

import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.hm import GPHM, Published, fit

LINE = Grid((16,), 1.0, False)
BOX = Grid((9, 11), (1.0, 1.5), False)


def poisson(d, u, *, source):
    terms = [d(u, (2, 0)), d(u, (0, 2))]
    return terms[0] + terms[1] - d(source, (0, 0))


def poisson_1d(d, u, *, source):
    return d(u, (2,)) - d(source, (0,))


def allen_cahn_1d(d, u, *, source):
    return d(u, (2,)) + d(u, (0,)) * (d(u, (0,)) ** 2 - 1) - d(source, (0,))


def allen_cahn(d, u, *, source):
    return poisson(d, u, source=source) + d(u, (0, 0)) * (d(u, (0, 0)) ** 2 - 1)


def advection(d, u):
    return 2.0 * d(u, (1, 0)) + d(u, (0, 1))


def on_line(equation, **settings):
    x = LINE.axis(0)
    u = torch.sin(5 * x) + 0.3 * x
    f = -25 * torch.sin(5 * x)
    if equation is allen_cahn_1d:
        f = f + u * (u**2 - 1)
    faces = {(0, "low"): float(u[0]), (0, "high"): float(u[-1])}
    chosen = Published(components=3, top_frequency=2.0, **settings)
    return GPHM(equation, LINE, faces=faces, fields={"source": f}, settings=chosen)


def on_box(equation, u, fields, **settings):
    faces = {(0, "low"): u[0], (0, "high"): u[-1], (1, "low"): u[:, 0], (1, "high"): u[:, -1]}
    chosen = Published(components=3, top_frequency=2.0, **settings)
    return GPHM(equation, BOX, faces=faces, fields=fields, settings=chosen)


@pytest.mark.parametrize("assembly", ["toeplitz", "pairwise"])
@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (
            "student_t",
            [2612.750095289542, 4337.57722810048, 2546.4955595383344, 2872.4816592593365],
        ),
        ("gaussian", [2604.83643050585, 6145.625048979269, 2461.219528068594, 3189.733261202736]),
        ("matern", [2589.4367497475864, 2435.4137660669844, 2286.305981663791, 2189.231980972326]),
        (
            "squared_exponential",
            [2573.0375391986877, 2579.7373514114124, 2304.979888420459, 2296.3903285462334],
        ),
    ],
)
def test_losses_of_the_first_steps_are_the_published_ones(kernel, expected, assembly):
    model = on_line(poisson_1d, kernel=kernel, assembly=assembly)
    # Condition numbers of 1e6 (the jitter) amplify different orders of summation.
    assert fit(model, 4) == pytest.approx(expected, rel=1e-7)


def test_losses_of_allen_cahn_are_the_published_ones():
    expected = [2661.5337557556286, 3438.3759444865254, 2836.84066535768, 2407.004979954509]
    assert fit(on_line(allen_cahn_1d), 4) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("assembly", ["toeplitz", "pairwise"])
def test_losses_in_two_dimensions_are_the_published_ones(assembly):
    x, y = BOX.coordinates()
    u = torch.sin(3 * x) * torch.cos(2 * y)
    settings = {"kernel": "gaussian", "assembly": assembly}
    model = on_box(poisson, u, {"source": -13 * u}, **settings)
    expected = [2770.115663459011, 4138.381723866597, 5633.253981300354, 3625.826047534843]
    assert fit(model, 4) == pytest.approx(expected, rel=1e-7)
    model = on_box(allen_cahn, u, {"source": -13 * u + u * (u**2 - 1)}, **settings)
    expected = [2904.978824868507, 4251.8103214427865, 5735.800622852831, 3788.02592877659]
    assert fit(model, 4) == pytest.approx(expected, rel=1e-7)


def test_losses_of_advection_are_the_published_ones():
    x, t = BOX.coordinates()
    model = on_box(advection, torch.sin(x - 2 * t), {}, boundary_weight=500.0)
    expected = [4117.427025196151, 3941.480570892461, 3827.796291819196, 3693.6774728176415]
    assert fit(model, 4) == pytest.approx(expected, rel=1e-7)


def test_extra_gp_goes_on_from_the_frozen_mixture_as_published():
    model = on_line(poisson_1d, change_point=0.4)
    expected = [2612.750095289542, 4337.57722810048, 2546.4955595383344]
    expected += [2903.382350088377, 2594.098149474056]
    assert fit(model, 5) == pytest.approx(expected, rel=1e-7)
    found = model.predict([torch.linspace(0, 1, 5, dtype=torch.float64)])
    expected = [-0.008166593967644076, 0.0017903828738781158, 0.020587079088500104]
    expected += [0.0005429221092754233, 0.030837284618115746]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_solution_reports_the_residual_at_the_nodes():
    model, steps = on_line(poisson_1d), []
    fit(model, 2, callback=lambda step, loss: steps.append(step))
    assert steps == [0, 1]
    solution = model.solution()
    second = model.prior.state().derivative((2,)).detach()
    x = LINE.axis(0)
    expected = (second + 25 * torch.sin(5 * x)).norm() / (25 * torch.sin(5 * x)).norm()
    torch.testing.assert_close(solution.stats["residual"], expected)
    assert not bool(solution.converged)


def test_derivatives_of_given_fields_are_refused():
    def residual(d, u, *, source):
        return d(u, (2,)) - d(source, (1,))

    with pytest.raises(ValueError, match=r"field source is read with orders \(1,\)"):
        GPHM(residual, LINE, faces={}, fields={"source": torch.zeros(16)})


def test_a_face_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"faces has \(1, 'low'\), expected"):
        GPHM(poisson_1d, LINE, faces={(1, "low"): 0.0}, fields={"source": torch.zeros(16)})
