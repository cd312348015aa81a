"""Plane flow against stored references, closed solutions, convergence orders and balances."""

import dataclasses
import json
import math

import pytest
import torch
from safetensors.torch import load_file

from pdesolve import ConvergenceError, Grid
from pdesolve.ops import fourier
from pdesolve.ops.vorticity import velocity_of, vorticity_of
from pdesolve.pde import NavierStokes2d

BOX = 2 * math.pi
ORDERS = {"ifrk4": 4, "etdrk4": 4, "heun_cn": 2, "rk4_cn": 2, "cn_euler": 1}
SET_UPS = {
    "fno": NavierStokes2d.fno(),
    "refiner": NavierStokes2d.refiner(),
    "kolmogorov": NavierStokes2d.kolmogorov(),
    "mcwilliams": NavierStokes2d.mcwilliams("mcwilliams"),
    "mcwilliams_steep": NavierStokes2d.mcwilliams(),
    "taylor_green": NavierStokes2d.taylor_green(),
    "forced_from_rest": NavierStokes2d.forced_from_rest(),
}


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


def waves(grid: Grid) -> torch.Tensor:
    """Return one vorticity field (1, n, m) without symmetries."""
    x, y = (BOX * c / length for c, length in zip(grid.coordinates(), grid.lengths, strict=True))
    w = torch.sin(x) * torch.cos(2 * y) + 0.7 * torch.cos(2 * x - y + 0.4)
    return (w + 0.5 * torch.sin(x + 3 * y + 1.1))[None]


def small(setup: str) -> tuple[NavierStokes2d, Grid]:
    """Return a set-up cut to a few milliseconds, and a grid on its box."""
    flow = SET_UPS[setup]
    box = 1.0 if setup in ("fno", "refiner") else BOX
    shape = (24, 24) if flow.solver_shape else ()
    times = tuple(0.02 * i for i in range(1, 4))
    warm_up = min(flow.warm_up, 0.05)
    cut = dataclasses.replace(flow, solver_shape=shape, modes=24, times=times, warm_up=warm_up)
    return cut, Grid((24, 24), box, True)


@pytest.mark.golden
def test_stored_trajectories_are_reproduced(golden):
    names = sorted(golden.glob("ns_reference*.json"))
    assert names, f"no fixture of the kind ns_reference in {golden}"
    for name in names:
        about, stored = json.loads(name.read_text()), load_file(name.with_suffix(".safetensors"))
        flow = NavierStokes2d(viscosity=about["viscosity"], times=tuple(about["times"]))
        expected = stored["vorticity_64"]
        grid = Grid(expected.shape[1:], 1.0, True)
        assert torch.allclose(flow.forcing_field(grid), stored["forcing"], rtol=0, atol=1e-14)
        found = flow.solve(initial=expected[:1], grid=grid, courant=0.5).value[0, 0]
        between = about["accuracy"]["relative_L2_between_the_two"]
        for i in range(len(expected)):
            assert relative(found[i], expected[i]) < 1e-8
            assert relative(found[i], stored["vorticity"][i]) < 1e-8 + between[i]


@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize(
    "grid", [Grid((16, 16), BOX, True), Grid((15, 24), (1.0, 2.0), True)], ids=str
)
def test_taylor_green_vortices_decay_exactly(grid, damping, device):
    times = (0.0, 0.5, 2.0)
    flow = NavierStokes2d(viscosity=0.01, damping=damping, forcing="none", times=times)
    expected = flow.exact(grid, wavenumber=2)
    found = flow.solve(initial=expected[:, 0].to(device), grid=grid).value[:, 0].cpu()
    assert torch.allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def test_float32_keeps_its_digits():
    grid = Grid((24, 24), 1.0, True)
    flow = NavierStokes2d(times=(0.5,))
    w = waves(grid)
    double = flow.solve(initial=w, grid=grid).value
    single = flow.solve(initial=w.float(), grid=grid).value
    assert single.dtype == torch.float32
    # A hundred transforms, each rounded.
    assert relative(single.double(), double) < 2e-5


def test_a_parallel_force_drives_the_flow_of_the_formula():
    # f = cos(3y) moves along x only, so ω = f (1 - e^(-λt)) / λ with λ = 9ν + damping.
    grid = Grid((18, 24), BOX, True)
    flow = NavierStokes2d(viscosity=0.02, damping=0.1, forcing="input", times=(0.5, 3.0))
    f = torch.cos(3 * grid.coordinates()[1])[None]
    found = flow.solve(forcing=f, grid=grid).value[:, 0]
    rate = 9 * 0.02 + 0.1
    for i, time in enumerate(flow.times):
        expected = f * (1 - math.exp(-rate * time)) / rate
        # The force is stepped by the Runge-Kutta scheme, with its error.
        assert relative(found[:, i], expected) < 1e-6


def test_kolmogorov_shear_is_its_own_steady_state():
    grid = Grid((18, 24), (BOX, BOX), True)
    flow = dataclasses.replace(
        SET_UPS["kolmogorov"], viscosity=0.02, warm_up=0.0, times=(1.0,), solver_shape=()
    )
    # The force sin(4y) along x: its curl is -4 cos(4y).
    f = -4 * torch.cos(4 * grid.coordinates()[1])[None]
    steady = f / (16 * 0.02 + 0.1)
    assert torch.allclose(flow.forcing_field(grid), f[0], atol=1e-13)
    assert relative(flow.solve(initial=steady, grid=grid).value[:, 0, 0], steady) < 1e-7


@pytest.mark.parametrize(("scheme", "order"), ORDERS.items())
def test_halving_the_step_shows_the_order(scheme, order):
    grid = Grid((20, 27), 1.0, True)
    flow, w = NavierStokes2d(viscosity=5e-3), waves(grid)
    reference = flow.step(w, 0.5, 400, grid=grid)
    errors = [
        relative(flow.step(w, 0.5, substeps, scheme, grid=grid), reference) for substeps in (16, 32)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_two_schemes_agree():
    grid = Grid((20, 27), 1.0, True)
    flow, w = NavierStokes2d(viscosity=5e-3), waves(grid)
    ifrk4, etdrk4 = (flow.step(w, 0.5, 200, name, grid=grid) for name in ("ifrk4", "etdrk4"))
    assert relative(ifrk4, etdrk4) < 1e-9


def test_energy_and_enstrophy_are_conserved_without_viscosity():
    grid = Grid((24, 27), (1.0, 1.5), True)
    flow, w = NavierStokes2d(viscosity=0.0, forcing="none"), waves(grid)
    moved = flow.step(w, 1.0, 200, grid=grid)
    for quantity in (
        lambda w: w.square().mean(),
        lambda w: sum(u.square().mean() for u in velocity_of(w, grid.lengths)),
    ):
        assert float(quantity(moved)) == pytest.approx(float(quantity(w)), rel=1e-8)
    assert relative(moved, w) > 0.1


def test_energy_changes_by_work_dissipation_and_drag():
    grid, gap = Grid((32, 32), 1.0, True), 2e-3
    flow = NavierStokes2d(viscosity=1e-3, damping=0.2, times=tuple(gap * i for i in range(5)))
    w = flow.solve(initial=waves(grid), grid=grid).value[0, 0]
    u, v = velocity_of(w, grid.lengths)
    energy = 0.5 * (u**2 + v**2).mean((1, 2))
    change = (energy[0] - 8 * energy[1] + 8 * energy[3] - energy[4]) / (12 * gap)
    stream = -fourier.inverse_laplacian(w[2], grid.lengths)
    work = (stream * flow.forcing_field(grid)).mean()
    dissipation = 1e-3 * w[2].square().mean()
    expected = work - dissipation - 2 * 0.2 * energy[2]
    assert float(change) == pytest.approx(float(expected), rel=1e-7)


def test_a_shifted_flow_is_the_flow_shifted():
    grid = Grid((20, 24), (1.0, 1.2), True)
    flow, w = NavierStokes2d(forcing="none"), waves(grid)
    shifted = flow.step(w.roll((3, -5), (1, 2)), 0.5, 20, grid=grid)
    assert relative(shifted, flow.step(w, 0.5, 20, grid=grid).roll((3, -5), (1, 2))) < 1e-12


@pytest.mark.parametrize("mirror", ["exchange", "reflection", "turn"])
def test_mirrors_change_the_sign_of_vorticity_and_turns_do_not(mirror):
    grid = Grid((21, 21), 1.0, True)
    flow, w = NavierStokes2d(forcing="none"), waves(grid)

    def image(field):
        if mirror == "exchange":
            return -field.mT
        flipped = field.flip(1).roll(1, 1)
        return -flipped if mirror == "reflection" else flipped.mT

    found = flow.step(image(w), 0.5, 20, grid=grid)
    assert relative(found, image(flow.step(w, 0.5, 20, grid=grid))) < 1e-12


def test_a_sample_is_the_same_alone_and_in_a_batch():
    grid = Grid((20, 24), 1.0, True)
    flow = NavierStokes2d(times=(0.5,), modes=16)
    w = flow.random_inputs(grid, generators(3))["initial"]
    together = flow.step(w, 0.5, 10, grid=grid)
    alone = torch.cat([flow.step(w[i : i + 1], 0.5, 10, grid=grid) for i in range(3)])
    assert relative(alone, together) < 1e-13
    # Here the samples share steps, which are other ones alone: an error of the step remains.
    solved = flow.solve(initial=w, grid=grid)
    assert relative(flow.solve(initial=w[:1], grid=grid).value, solved.value[:1]) < 1e-5


def test_samples_solved_in_groups_are_all_there(monkeypatch):
    grid = Grid((20, 24), 1.0, True)
    flow = NavierStokes2d(times=(0.1, 0.2), modes=16)
    w = flow.random_inputs(grid, generators(5))["initial"]
    whole = flow.solve(initial=w, grid=grid, courant=0.3)
    monkeypatch.setattr("pdesolve.pde.navier_stokes._POINTS_AT_ONCE", 2 * 20 * 24)
    parts = flow.solve(initial=w, grid=grid, courant=0.3)
    assert parts.value.shape == (5, 1, 2, 20, 24)
    assert parts.stats["iterations"].shape == parts.stats["residual"].shape == (5,)
    assert relative(parts.value, whole.value) < 1e-6


@pytest.mark.parametrize("scheme", ORDERS)
def test_gradients_of_a_step_agree_with_differences(scheme):
    grid = Grid((6, 7), 1.0, True)
    flow = NavierStokes2d(forcing="input")
    w, f = waves(grid).requires_grad_(), 0.3 * waves(grid).roll(1, 2)

    def step(w, f):
        return flow.step(w, 0.1, 2, scheme, grid=grid, forcing=f)

    assert torch.autograd.gradcheck(step, (w, f.requires_grad_()), fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_the_tangent_of_a_step_agrees_with_a_difference():
    grid = Grid((12, 12), 1.0, True)
    flow, w = NavierStokes2d(), waves(grid)
    direction = w.roll((2, 1), (1, 2))

    def step(w):
        return flow.step(w, 0.2, 2, grid=grid)

    _, tangent = torch.func.jvp(step, (w,), (direction,))
    h = 1e-5
    difference = (step(w + h * direction) - step(w - h * direction)) / (2 * h)
    assert relative(tangent, difference) < 1e-8


def test_a_first_call_without_gradients_leaves_later_ones_possible():
    grid = Grid((10, 11), 1.0, True)
    flow = NavierStokes2d()
    with torch.inference_mode():
        flow.step(waves(grid), 0.123, grid=grid)
    w = waves(grid).requires_grad_()
    flow.step(w, 0.123, grid=grid).sum().backward()
    assert w.grad is not None


def test_records_on_a_coarser_grid_are_low_passes_of_the_finer_flow():
    coarse, fine = Grid((12, 15), 1.0, True), Grid((24, 30), 1.0, True)
    flow = NavierStokes2d(times=(0.1, 0.3), solver_shape=fine.shape)
    w = waves(coarse)
    found = flow.solve(initial=w, grid=coarse).value
    finer = dataclasses.replace(flow, solver_shape=()).solve(
        initial=fourier.resample(w, fine.shape), grid=fine
    )
    assert torch.allclose(found, fourier.resample(finer.value, coarse.shape), atol=1e-13)


def test_velocity_records_are_those_of_the_vorticity():
    grid = Grid((24, 27), (1.0, 2.0), True)
    flow = NavierStokes2d(times=(0.2,))
    w = flow.solve(initial=waves(grid), grid=grid).value[:, 0]
    velocity = dataclasses.replace(flow, fields="velocity")
    uv = velocity.solve(initial=waves(grid), grid=grid).value
    assert uv.shape == (1, 2, 1, 24, 27)
    assert velocity.outputs == ("velocity_x", "velocity_y")
    assert relative(vorticity_of(uv[:, 0], uv[:, 1], grid.lengths), w) < 1e-12
    stream = -fourier.inverse_laplacian(w, grid.lengths)
    assert relative(uv[:, 0], fourier.derivative(stream, (0, 1), grid.lengths)) < 1e-12
    assert (
        float(velocity.relative_residual(uv[:, 0], uv[:, 1], initial=waves(grid), grid=grid)) < 1e-9
    )


def test_a_record_at_time_zero_is_what_the_grid_keeps_of_the_input():
    grid = Grid((12, 12), 1.0, True)
    flow = NavierStokes2d(times=(0.0, 0.05), modes=32)
    w = flow.random_inputs(grid, generators(1))["initial"]
    found = flow.solve(initial=w, grid=grid).value[:, 0]
    assert torch.allclose(found[:, 0], fourier.truncate(w, (7, 7)), rtol=0, atol=1e-13)
    assert relative(found[:, 0], w) > 1e-3
    assert float(flow.relative_residual(found, initial=w, grid=grid)) < 1e-12


def test_warm_up_shifts_the_records():
    grid = Grid((20, 20), 1.0, True)
    later = NavierStokes2d(times=(0.1, 0.2), warm_up=0.3).solve(
        initial=waves(grid), grid=grid, courant=0.3
    )
    plain = NavierStokes2d(times=(0.4, 0.5)).solve(initial=waves(grid), grid=grid, courant=0.3)
    assert relative(later.value, plain.value) < 1e-7


def test_the_error_estimate_is_of_the_size_of_the_error():
    grid = Grid((32, 32), 1.0, True)
    flow = NavierStokes2d(times=(1.0,))
    found = flow.solve(initial=waves(grid), grid=grid)
    fine = flow.solve(initial=waves(grid), grid=grid, courant=0.2)
    error = relative(found.value, fine.value)
    assert 0.1 < float(found.stats["residual"]) / error < 30


def test_the_residual_of_an_exact_solution_is_zero_and_reads_only_through_d():
    # Taylor-Green beside a shear along x in the forcing: every term of the equation is there.
    grid, time = Grid((16, 20), (1.0, 2.0), True), 0.7
    flow = NavierStokes2d(viscosity=0.01, damping=0.2, forcing="none")
    x, y = grid.coordinates()
    kx, ky = BOX, BOX / 2
    squared = kx**2 + ky**2
    # A growing eddy and a steady shear: f is what they need, by hand.
    eddy = torch.sin(kx * x) * torch.cos(ky * y)
    shear = torch.cos(ky * y)
    w = time * squared * eddy + ky**2 * shear
    psi = time * eddy + shear
    known = {
        "w": (w, squared * eddy),
        "psi": (psi, eddy),
    }

    def d(name, orders):
        value, rate = known[name]
        field = rate if orders[0] else value
        return fourier.derivative(field, orders[1:], grid.lengths) if any(orders[1:]) else field

    psi_x = time * kx * torch.cos(kx * x) * torch.cos(ky * y)
    psi_y = -time * ky * torch.sin(kx * x) * torch.sin(ky * y) - ky * torch.sin(ky * y)
    w_x = squared * psi_x
    w_y = -time * squared * ky * torch.sin(kx * x) * torch.sin(ky * y) - ky**3 * torch.sin(ky * y)
    diffusion = -0.01 * (time * squared**2 * eddy + ky**4 * shear)
    f = squared * eddy + psi_y * w_x - psi_x * w_y - diffusion + 0.2 * w
    momentum, poisson = flow.residual(d, "w", "psi", forcing=f)
    assert float(momentum.abs().max()) < 1e-11 * float(f.abs().max())
    assert float(poisson.abs().max()) < 1e-11 * float(w.abs().max())


@pytest.mark.parametrize("setup", SET_UPS)
def test_set_ups_solve_and_judge_their_own_records(setup):
    flow, grid = small(setup)
    inputs = flow.random_inputs(grid, generators(2))
    solution = flow.solve(**inputs, grid=grid)
    assert tuple(inputs) == flow.inputs
    assert solution.value.shape == (2, 1, 3, 24, 24)
    assert bool(solution.converged.all())
    records = solution.value[:, 0]
    assert float(flow.relative_residual(records, **inputs, grid=grid).max()) < 1e-6
    # Shuffled samples are records of another flow.
    other = {name: field.flip(0) for name, field in inputs.items()}
    mixed = torch.cat([records[:, :1], records.flip(0)[:, 1:]], 1)
    assert float(flow.relative_residual(mixed, **other, grid=grid).min()) > 1e-2
    found = flow.check({**inputs, "vorticity": records}, grid)
    assert not any(bool(suspicious.any()) for _, suspicious, _ in found)


@pytest.mark.parametrize("setup", SET_UPS)
def test_set_ups_are_rebuilt_from_json(setup):
    flow = SET_UPS[setup]
    assert NavierStokes2d(**json.loads(json.dumps(dataclasses.asdict(flow)))) == flow


@pytest.mark.parametrize("setup", SET_UPS)
def test_one_seed_is_one_flow_on_every_grid(setup):
    flow, grid = small(setup)
    name = flow.inputs[0]
    fine = flow.random_inputs(grid.resized((36, 48)), generators(1))[name]
    coarse = flow.random_inputs(grid, generators(1))[name]
    assert torch.allclose(fourier.resample(fine, grid.shape), coarse, atol=1e-11)


@pytest.mark.parametrize(
    ("amplitude", "size"), [("2020", 0.262), ("2021", 0.185), ("paper", 0.043)]
)
def test_initial_fields_have_the_published_sizes(amplitude, size):
    flow = dataclasses.replace(NavierStokes2d.fno(1e-5, amplitude), modes=64)
    field = flow.random_inputs(Grid((64, 64), 1.0, True), generators(100))["initial"]
    # 100 samples of some ten strong modes each: 2 % of standard deviation.
    assert float(field.square().mean().sqrt()) == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize(("viscosity", "end"), [(1e-3, 50), (1e-4, 30), (1e-5, 20)])
def test_published_records_end_at_their_times(viscosity, end):
    flow = NavierStokes2d.fno(viscosity)
    assert flow.times == tuple(range(1, end + 1))
    assert flow.solver_shape == (256, 256)


def test_check_sees_a_mean_and_growth_without_cause():
    grid = Grid((16, 16), 1.0, True)
    flow = NavierStokes2d(viscosity=0.01, forcing="none", times=(1.0, 2.0))
    w = flow.solve(initial=waves(grid), grid=grid).value[:, 0]
    names = {name: s for name, s, _ in flow.check({"initial": waves(grid), "vorticity": w}, grid)}
    assert not any(bool(s) for s in names.values())
    lifted = flow.check({"vorticity": w + 0.01, "initial": waves(grid)}, grid)
    assert [bool(s) for _, s, _ in lifted] == [True, False]
    grown = flow.check({"vorticity": w.flip(1), "initial": waves(grid)}, grid)
    assert [bool(s) for _, s, _ in grown] == [False, True]


def test_a_flow_that_grows_without_bound_is_reported():
    grid = Grid((24, 24), 1.0, True)
    flow = NavierStokes2d(viscosity=0.0, times=(400.0,))
    with pytest.raises(ConvergenceError, match="choose a smaller courant"):
        flow.solve(initial=waves(grid), grid=grid, courant=40.0)


def test_wrong_inputs_are_refused_with_a_way_out():
    grid, flow = Grid((12, 12), 1.0, True), NavierStokes2d()
    w = waves(grid)
    with pytest.raises(ValueError, match="expected two periodic axes"):
        flow.solve(initial=w, grid=Grid((12, 12), 1.0, False))
    with pytest.raises(ValueError, match="initial has shape"):
        flow.solve(initial=w[:, 1:], grid=grid)
    with pytest.raises(ValueError, match="initial holds NaN"):
        flow.solve(initial=w * torch.nan, grid=grid)
    with pytest.raises(ValueError, match="no input was given, expected initial"):
        flow.solve(grid=grid)
    with pytest.raises(ValueError, match="forcing was given"):
        flow.step(w, 0.1, grid=grid, forcing=w)
    with pytest.raises(ValueError, match="forcing was not given"):
        NavierStokes2d(forcing="input").step(w, 0.1, grid=grid)
    with pytest.raises(ValueError, match="one entry after a warm-up"):
        NavierStokes2d(warm_up=1.0).relative_residual(w[:, None], initial=w, grid=grid)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"viscosity": -1e-3}, "viscosity is"),
        ({"damping": -0.1}, "damping is"),
        ({"times": ()}, "times is"),
        ({"times": (1.0, 1.0)}, "times is"),
        ({"forcing": "wind"}, "'wind'"),
        ({"law": "white"}, "'white'"),
    ],
)
def test_wrong_parameters_are_refused(values, message):
    # Where signatures are checked, a wrong name is a TypeError before it can be a ValueError.
    with pytest.raises((ValueError, TypeError), match=message):
        NavierStokes2d(**values)


def test_a_viscosity_that_was_not_published_is_refused():
    with pytest.raises(ValueError, match="one of the published"):
        NavierStokes2d.fno(2e-3)
