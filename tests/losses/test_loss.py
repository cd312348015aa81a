import math

import numpy
import pytest
import torch

from pdesolve import Grid
from pdesolve.losses import Loss, MeanSquare, RelativeL2, Sobolev, SobolevCurriculum, WeightedSum

PERIODIC = Grid((8, 9), (2.0, 3.0), True)
WALLS = Grid((8, 9), (2.0, 3.0), False)
CHANNEL = Grid((8, 9), (2.0, 3.0), (True, False))


def pair(generator, device, grid=PERIODIC, dtype=torch.float64, samples=3, channels=2):
    shape = (samples, channels, *grid.shape)
    fields = torch.randn((2, *shape), generator=generator, dtype=torch.float64).to(device, dtype)
    return fields[0], fields[1]


def waves(grid, amplitude, device):
    """Two samples: amplitude times a wave along x of one and of two periods."""
    x, _ = grid.coordinates(device=device)
    kappa = 2 * math.pi / grid.lengths[0]
    return torch.stack([amplitude * torch.cos(kappa * k * x)[None] for k in (1, 2)])


def test_relative_l2_is_the_mean_over_samples_of_norm_ratios(device, generator):
    prediction, target = pair(generator, device)
    expected = [
        ((p - t).pow(2).sum() / t.pow(2).sum()).sqrt()
        for p, t in zip(prediction, target, strict=True)
    ]
    loss = RelativeL2()
    torch.testing.assert_close(loss.per_sample(prediction, target), torch.stack(expected))
    torch.testing.assert_close(loss(prediction, target), torch.stack(expected).mean())


def test_relative_l2_counts_the_domain_only(device, generator):
    prediction, target = pair(generator, device, samples=1)
    mask = torch.zeros(1, 1, *PERIODIC.shape, device=device)
    mask[..., 2:5, :] = 1
    error = (prediction - target)[..., 2:5, :]
    expected = error.norm() / target[..., 2:5, :].norm()
    torch.testing.assert_close(RelativeL2()(prediction, target, mask=mask), expected)


@pytest.mark.parametrize("order", [-1, 0, 0.5, 1, 2])
@pytest.mark.parametrize("homogeneous", [False, True])
def test_sobolev_loss_weighs_each_wave_by_its_wavenumber(device, order, homogeneous):
    target = waves(PERIODIC, 1.0, device)
    error = waves(PERIODIC, 0.1, device).flip(0)  # the error of each is the other wave
    squares = [(math.pi * k) ** 2 + (0.0 if homogeneous else 1.0) for k in (1, 2)]
    ratio = (squares[1] / squares[0]) ** (order / 2)
    loss = Sobolev(order, homogeneous=homogeneous)
    result = loss.per_sample(target + error, target, grid=PERIODIC)
    expected = torch.tensor([0.1 * ratio, 0.1 / ratio], dtype=torch.float64, device=device)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=0)


def test_stretching_the_box_changes_the_balance_of_values_and_slopes(device):
    x = torch.arange(8, dtype=torch.float64, device=device) / 8
    target, error = torch.ones_like(x), 0.1 * torch.cos(2 * math.pi * x)
    for length in (1.0, 10.0):
        result = Sobolev(1)(
            (target + error)[None, None], target[None, None], grid=Grid((8,), length, True)
        )
        expected = 0.1 * math.sqrt(0.5 * (1 + (2 * math.pi / length) ** 2))
        assert result.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("homogeneous", [False, True])
def test_first_order_on_a_stored_sub_grid_is_the_ratio_of_difference_norms(generator, homogeneous):
    grid = Grid((16, 16), (1.0, 1.0), False, offset=1 / 1024)
    prediction, target = pair(generator, "cpu", grid, channels=1)

    def squared(u):
        slopes = numpy.gradient(u, 1 / 16, edge_order=2)
        return sum((slope**2).mean() for slope in slopes) + (0 if homogeneous else (u**2).mean())

    expected = [
        math.sqrt(squared((p - t)[0].numpy()) / squared(t[0].numpy()))
        for p, t in zip(prediction, target, strict=True)
    ]
    result = Sobolev(1, homogeneous=homogeneous).per_sample(prediction, target, grid=grid)
    assert result.tolist() == pytest.approx(expected, rel=1e-12)


def test_first_order_in_a_channel_wraps_along_its_periodic_axis_only(generator):
    prediction, target = pair(generator, "cpu", CHANNEL, samples=1, channels=1)

    def norm(u):
        along = (numpy.roll(u, -1, 0) - numpy.roll(u, 1, 0)) / (2 * 2.0 / 8)
        across = numpy.gradient(u, 3.0 / 8, axis=1, edge_order=2)
        return math.sqrt((u**2 + along**2 + across**2).mean())

    expected = norm((prediction - target)[0, 0].numpy()) / norm(target[0, 0].numpy())
    result = Sobolev(1)(prediction, target, grid=CHANNEL)
    assert result.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", [-1, 0.5, 1.5])
def test_between_walls_each_cosine_weighs_by_its_wavenumber(device, order):
    x, _ = WALLS.coordinates(device=device)
    one, two = (torch.cos(math.pi * k * x / WALLS.lengths[0])[None, None] for k in (1, 2))
    result = Sobolev(order).per_sample(one + 0.1 * two, one, grid=WALLS)
    kappa = math.pi / WALLS.lengths[0]
    # The mean square over the nodes, ends counted half, is the same for both waves.
    expected = 0.1 * ((1 + 4 * kappa**2) / (1 + kappa**2)) ** (order / 2)
    assert result.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("order", "grid"), [(-0.5, PERIODIC), (1, WALLS), (0, CHANNEL)])
def test_times_before_the_grid_count_as_channels(device, generator, order, grid):
    prediction, target = pair(generator, device, grid, channels=6)
    in_time = (field.unflatten(1, (2, 3)) for field in (prediction, target))
    expected = Sobolev(order).per_sample(prediction, target, grid=grid)
    torch.testing.assert_close(Sobolev(order).per_sample(*in_time, grid=grid), expected)


@pytest.mark.parametrize("grid", [PERIODIC, WALLS, CHANNEL])
def test_sobolev_of_order_zero_is_relative_l2(device, generator, grid):
    prediction, target = pair(generator, device, grid)
    result = Sobolev(0).per_sample(prediction, target, grid=grid)
    torch.testing.assert_close(result, RelativeL2().per_sample(prediction, target))


def test_weighted_sum_adds_weighted_terms(device, generator):
    prediction, target = pair(generator, device)
    loss = WeightedSum([RelativeL2(), Sobolev(1)], [1.0, 0.5])
    expected = RelativeL2()(prediction, target) + 0.5 * Sobolev(1)(
        prediction, target, grid=PERIODIC
    )
    torch.testing.assert_close(loss(prediction, target, grid=PERIODIC), expected)
    assert loss.per_sample(prediction, target, grid=PERIODIC).shape == (3,)


LOSSES = {
    "l2": (RelativeL2(), PERIODIC),
    "h1": (Sobolev(1), PERIODIC),
    "dual": (Sobolev(-1, homogeneous=True), PERIODIC),
    "walls": (Sobolev(1), WALLS),
    "channel": (Sobolev(1, homogeneous=True), CHANNEL),
    "half between walls": (Sobolev(0.5), WALLS),
    "dual in a channel": (Sobolev(-1, homogeneous=True), CHANNEL),
    "curriculum": (SobolevCurriculum((0, 1)), PERIODIC),
    "mean square": (MeanSquare(), WALLS),
    "sum": (WeightedSum((RelativeL2(), Sobolev(1)), (1.0, 0.5)), WALLS),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_perfect_prediction_has_zero_loss_and_zero_gradient(device, generator, name, dtype):
    loss, grid = LOSSES[name]
    _, target = pair(generator, device, grid, dtype)
    prediction = target.clone().requires_grad_()
    value = loss(prediction, target, grid=grid)
    value.backward()
    assert value.dtype == dtype
    assert value.item() == 0
    assert prediction.grad is not None
    assert (prediction.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_zero_target_gives_a_finite_loss_and_gradient(device, name):
    loss, grid = LOSSES[name]
    target = torch.zeros(2, 1, *grid.shape, device=device)
    prediction = torch.rand_like(target).requires_grad_()
    value = loss(prediction, target, grid=grid)
    value.backward()
    assert 0 < value.item() < 100
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(generator, name):
    loss, grid = LOSSES[name]
    prediction, target = pair(generator, "cpu", grid, samples=2, channels=1)
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, target, grid=grid), (prediction,))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_fulfil_the_protocol(name):
    assert isinstance(LOSSES[name][0], Loss)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (Sobolev(1), {}, "grid is None, expected the Grid .* pass grid=batch.grid"),
        (Sobolev(1), {"grid": Grid((9, 8), 1.0, True)}, "grid has shape .* expected"),
        (Sobolev(1), {"grid": Grid((9,), 1.0, True).resized((8,))}, "grid has shape .* expected"),
        (Sobolev(1), {"grid": Grid((2, 8, 9), 1.0, True)}, "grid has shape .* expected"),
        (Sobolev(1), {"grid": WALLS, "mask": torch.ones(3, 1, 8, 9)}, "mask .* use RelativeL2"),
    ],
)
def test_losses_name_what_they_cannot_measure(generator, loss, options, message):
    with pytest.raises(ValueError, match=message):
        loss(*pair(generator, "cpu"), **options)


def test_the_order_of_a_curriculum_moves_between_its_orders():
    moving = SobolevCurriculum((1, 0, -0.5), homogeneous=True)
    assert [moving.at(epoch, 5) for epoch in range(5)] == [
        Sobolev(order, homogeneous=True) for order in (1, 0.5, 0, -0.25, -0.5)
    ]
    assert SobolevCurriculum((1, 0)).at(0, 1) == Sobolev(1)


def test_a_curriculum_without_orders_is_refused():
    with pytest.raises(ValueError, match="orders is empty"):
        SobolevCurriculum(())


@pytest.mark.parametrize("weights", [(), (1.0,)])
def test_weighted_sum_needs_a_weight_for_each_term(weights):
    with pytest.raises(ValueError, match="expected at least one term and one weight for each"):
        WeightedSum((RelativeL2(), Sobolev(1)), weights)


@pytest.mark.compile
@pytest.mark.parametrize("name", LOSSES)
def test_losses_compile_into_one_graph(generator, name):
    # All losses share one traced function, of which only so many versions are kept.
    torch.compiler.reset()
    loss, grid = LOSSES[name]
    prediction, target = pair(generator, "cpu", grid)
    compiled = torch.compile(loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(
        compiled(prediction, target, grid=grid), loss(prediction, target, grid=grid)
    )
