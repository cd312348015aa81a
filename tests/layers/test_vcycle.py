import itertools

import pytest
import torch
import torch.nn.functional as F

from pdesolve.layers.vcycle import VCycle

MODES = {"neumann_node": "reflect", "neumann_cell": "replicate", "periodic": "circular"}
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
PLAIN = ((1, 0), (1, 1), (2, 0))


def cycle(*arguments, seed=0, **options):
    torch.manual_seed(seed)
    return VCycle(*arguments, **options).double()


def continued(x, boundary):
    """The field with one more point on both sides of each axis, by torch's own padding."""
    dims = x.ndim - 2
    for axis, kind in enumerate(boundary):
        sides = [0, 0] * dims
        sides[2 * (dims - 1 - axis) : 2 * (dims - axis)] = [1, 1]
        if kind == "dirichlet":
            x = F.pad(x, sides)
        else:
            # torch pads the last axes only.
            x = (
                F.pad(x.movedim(axis + 2, -1).flatten(1, -2), [1, 1], mode=MODES[kind])
                .unflatten(1, x.movedim(axis + 2, -1).shape[1:-1])
                .movedim(-1, axis + 2)
            )
    return x


def stencil(layer, x, boundary, stride=1):
    c = layer.convolution
    return CONVOLVE[x.ndim - 2](continued(x, boundary), c.weight, c.bias, stride=stride)


def prolonged(layer, u, shape, boundary):
    kernel = layer.convolution.weight
    # Points per axis: a fourth that is zero changes nothing.
    kernel = F.pad(kernel, [0, 4 - kernel.shape[-1]] * len(shape))
    u = TRANSPOSED[len(shape)](continued(u, boundary), kernel, stride=2, padding=3)
    return u[(..., *(slice(n) for n in shape))]


def by_formula(model, f, boundary, iterations, restrict_residual=False):
    """The docstring's three lines, with every padding done anew, one convolution at a time."""
    u, states = None, []
    for l, (before, _) in enumerate(iterations):
        level = model.levels[l]
        if l:
            if restrict_residual:
                fine = model.levels[l - 1]
                f = f - stencil(fine.operators[-1], u, boundary)
            u = stencil(model.restrictions_u[l - 1], u, boundary, 2)
            f = stencil(model.restrictions_f[l - 1], f, boundary, 2)
        operators = list(level.operators)
        for step in range(before):
            if u is None:
                u = stencil(level.smoothers[0], f, boundary)
                operators = [None, *operators]
                continue
            residual = f - stencil(operators[step], u, boundary)
            u = u + stencil(level.smoothers[step], residual, boundary)
        states.append((u, f, operators))
    for l in reversed(range(len(iterations) - 1)):
        fine, f, operators = states[l]
        u = fine + prolonged(model.prolongations[l], u, fine.shape[2:], boundary)
        before, after = iterations[l]
        for step in range(before, before + after):
            residual = f - stencil(operators[step], u, boundary)
            u = u + stencil(model.levels[l].smoothers[step], residual, boundary)
    return u


@pytest.mark.parametrize(
    "boundary",
    [
        ("dirichlet", "dirichlet"),
        ("neumann_node", "neumann_cell"),
        ("periodic", "periodic"),
        ("periodic", "dirichlet"),
        ("neumann_cell", "periodic"),
        ("periodic",),
        ("neumann_node",),
        ("periodic", "neumann_node", "dirichlet"),
    ],
)
@pytest.mark.parametrize("restrict_residual", [False, True])
def test_the_cycle_is_its_formula_with_every_boundary(boundary, restrict_residual, device):
    iterations = ((2, 1), (1, 2), (3, 0))
    dims = len(boundary)
    model = cycle(
        2, 3, iterations, dims=dims, boundary=boundary, bias=True,
        restrict_residual=restrict_residual, prolongation_kernels=(3, 4),
    ).to(device)  # fmt: skip
    f = torch.randn(2, 2, *(9, 12, 10)[:dims], dtype=torch.float64, device=device)
    expected = by_formula(model, f, boundary, iterations, restrict_residual)
    torch.testing.assert_close(model(f), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("boundary", ["dirichlet", "periodic"])
def test_without_bias_and_norm_the_cycle_is_linear(boundary, device):
    model = cycle(2, 4, PLAIN, boundary=boundary, restrict_residual=True).to(device)
    f, g = torch.randn(2, 3, 2, 13, 16, dtype=torch.float64, device=device)
    expected = 2 * model(f) - 3 * model(g)
    torch.testing.assert_close(model(2 * f - 3 * g), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 32), (16, 48)])
def test_on_the_torus_the_cycle_commutes_with_shifts_by_coarse_cells(shape, device):
    model = cycle(2, 4, ((1, 1),) * 3 + ((2, 0),), boundary="periodic", bias=True).to(device)
    f = torch.randn(1, 2, *shape, dtype=torch.float64, device=device)
    for shift in itertools.product((0, 8), (8, -16)):
        shifted = model(f.roll(shift, (2, 3)))
        torch.testing.assert_close(shifted, model(f).roll(shift, (2, 3)), rtol=0, atol=1e-12)


def test_the_published_prolongation_does_not_commute_with_shifts():
    model = cycle(1, 4, PLAIN, boundary="periodic", transfer="zero")
    f = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    defect = model(f.roll(8, 2)) - model(f).roll(8, 2)
    assert defect.norm() > 1e-3 * model(f).norm()


@pytest.mark.parametrize("boundary", ["dirichlet", "neumann_node", "neumann_cell"])
@pytest.mark.parametrize("shape", [(17, 25), (9, 33)])
def test_symmetric_stencils_commute_with_reflections_of_nested_grids(boundary, shape, device):
    model = cycle(
        2, 3, ((2, 1), (1, 1), (1, 1), (2, 0)), boundary=boundary, prolongation_kernels=3
    ).to(device)
    for weight in model.parameters():
        weight.data += weight.data.flip(2)
    f = torch.randn(1, 2, *shape, dtype=torch.float64, device=device)
    torch.testing.assert_close(model(f.flip(2)), model(f).flip(2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 5), (16, 3)])
def test_the_output_has_the_grid_of_the_input(shape, device):
    f = torch.randn(2, 1, *shape, device=device)
    for boundary in ("dirichlet", "neumann_cell", "periodic"):
        for transfer in ("boundary", "zero"):
            model = VCycle(1, 3, PLAIN, boundary=boundary, transfer=transfer).to(device)
            assert model(f).shape == (2, 3, *shape)
    if min(shape) >= 7:
        model = VCycle(1, 3, PLAIN, boundary="neumann_cell", transfer="unpadded").to(device)
        assert model(f).shape == (2, 3, *shape)


@pytest.mark.parametrize(
    ("share", "operators", "smoothers"),
    [
        (None, [2, 3, 3], [3, 3, 3]),
        ("operator", [1, 1, 1], [3, 3, 3]),
        ("both", [1, 1, 1], [1] * 3),
    ],
)
def test_shared_stencils_are_held_once_a_level(share, operators, smoothers):
    model = VCycle(1, 2, ((2, 1), (1, 2), (3, 0)), share=share)
    assert [len(level.operators) for level in model.levels] == operators
    assert [len(level.smoothers) for level in model.levels] == smoothers


def test_shared_stencils_are_equal_stencils():
    iterations = ((2, 1), (1, 2), (3, 0))
    shared = cycle(1, 2, iterations, share="both", restrict_residual=True)
    free = cycle(1, 2, iterations, restrict_residual=True)
    for name, value in shared.state_dict().items():
        parts = name.split(".")
        for own in free.state_dict():
            if own == name or own.split(".")[:3] == ["levels", *parts[1:3]]:
                free.state_dict()[own].copy_(value)
    f = torch.randn(1, 1, 12, 9, dtype=torch.float64)
    torch.testing.assert_close(shared(f), free(f), rtol=1e-12, atol=1e-12)


def test_growing_levels_have_multiples_of_the_channels():
    model = VCycle(2, 3, PLAIN, growth=True)
    assert [level.smoothers[0].convolution.weight.shape[:2] for level in model.levels] == [
        (3, 2), (6, 4), (9, 6),
    ]  # fmt: skip


def test_every_parameter_gets_a_gradient_but_for_idle_ones():
    for idle, expected in (
        (None, set()),
        ("first", {"levels.0.operators.0.convolution.weight"}),
        ("last", {f"levels.2.{kind}.2.convolution.weight" for kind in ("operators", "smoothers")}),
    ):
        iterations = (*PLAIN[:2], (2, 1)) if idle == "last" else PLAIN
        model = VCycle(1, 2, iterations, idle=idle, norm=("layer", "plain"), restrict_residual=True)
        model(torch.randn(1, 1, 9, 8)).square().sum().backward()
        assert {n for n, p in model.named_parameters() if p.grad is None} == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(iterations=()), "iterations is"),
        (dict(iterations=((0, 1), (1, 0))), "one step before at least on the finest"),
        (dict(iterations=((1, 0), (1, 1))), r"write \(2, 0\)"),
        (dict(prolongation_kernels=5), "expected 3 or 4 points"),
        (dict(prolongation_kernels=(3, 4, 3)), "prolongation_kernels has 3 entries"),
        (dict(norm=("layer",)), "norm has 1 entries"),
        (dict(norm="pixelwise"), "without a grid"),
        (dict(transfer="unpadded", boundary="periodic"), "expected walls on all axes"),
        (dict(dims=4), "dims is 4"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VCycle(1, 2, **{"iterations": PLAIN, **options})


def test_a_grid_that_is_too_small_is_refused():
    model = VCycle(1, 2, PLAIN, boundary="neumann_cell", transfer="unpadded")
    with pytest.raises(ValueError, match="expected 7 points or more"):
        model(torch.ones(1, 1, 6, 6))
    model = VCycle(1, 2, PLAIN, boundary="neumann_node")
    with pytest.raises(ValueError, match="use fewer levels"):
        model(torch.ones(1, 1, 4, 4))
