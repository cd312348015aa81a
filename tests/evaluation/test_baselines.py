import math

import pytest
import torch
from torch import nn

from pdesolve.batch import Batch
from pdesolve.datasets import PointSet
from pdesolve.evaluation.baselines import across_resolutions, interpolate, training_mean
from pdesolve.evaluation.metrics import evaluate
from pdesolve.grid import Grid


class Stored:
    """Samples in memory, with what an evaluation asks of a dataset."""

    def __init__(self, x, y, grid):
        self.x, self.y, self.grid = x, y, grid

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        return Batch(self.x[list(indices)], self.y[list(indices)], self.grid)


def cubic(grid):
    x, y = grid.coordinates()
    return x * (1 - x) * (1 + 2 * x) * (y * (2 - y) * (3 - y))


def waves(grid):
    x, y = (
        2 * math.pi * c / length for c, length in zip(grid.coordinates(), grid.lengths, strict=True)
    )
    return 0.3 + torch.cos(2 * x - y + 0.4) + torch.sin(3 * y) - torch.cos(x)


BOX = (1.0, 2.0)
WALLED = [
    ("node", 0.0, None),
    ("node", 0.0, 0.0),
    ("cell", 0.0, None),
    ("cell", 0.0, 0.0),
    ("node", 1 / 1024, 0.0),
]


@pytest.mark.parametrize(("placement", "offset", "wall_value"), WALLED)
@pytest.mark.parametrize(("coarse", "fine"), [((5, 7), (13, 9)), ((8, 6), (16, 33))])
def test_spline_is_exact_for_cubic_polynomials(placement, offset, wall_value, coarse, fine):
    grids = [Grid(shape, BOX, False, placement, offset) for shape in (coarse, fine)]
    u = cubic(grids[0])[None, None]
    carried = interpolate(u, *grids, wall_value=wall_value)
    torch.testing.assert_close(carried[0, 0], cubic(grids[1]), rtol=0, atol=1e-12)


def test_walls_take_their_value():
    grids = [Grid((n,), 1.0, False, "cell") for n in (4, 4000)]
    u = 7 + torch.sin(math.pi * grids[0].axis(0))[None, None]
    carried = interpolate(u, *grids, wall_value=7.0)[0, 0]
    expected = 7 + torch.sin(math.pi * grids[1].axis(0))
    assert (carried - expected).abs()[[0, -1]].max() < 1e-3
    assert (carried - expected).abs().max() < 2e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("placement", ["node", "cell"])
@pytest.mark.parametrize(("coarse", "fine"), [((8, 7), (16, 31)), ((9, 8), (13, 24))])
def test_periodic_interpolation_is_exact_for_band_limited_fields(
    placement, coarse, fine, dtype, device
):
    grids = [Grid(shape, BOX, True, placement) for shape in (coarse, fine)]
    u = waves(grids[0])[None, None].to(device, dtype)
    expected = waves(grids[1])[None, None].to(device, dtype)
    atol = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(interpolate(u, *grids), expected, rtol=0, atol=atol)


def test_periodic_interpolation_is_the_house_resampling(generator):
    from pdesolve.ops.fourier import resample

    u = torch.randn(2, 1, 8, 9, generator=generator, dtype=torch.float64)
    carried = interpolate(u, Grid((8, 9), 1.0, True), Grid((24, 20), 1.0, True))
    torch.testing.assert_close(carried, resample(u, (24, 20)), rtol=0, atol=1e-12)


def test_mixed_axes_are_interpolated_each_in_its_way():
    grids = [Grid(shape, 1.0, (True, False)) for shape in ((7, 5), (14, 9))]
    fields = [torch.cos(2 * math.pi * x) * y**3 for x, y in (g.coordinates() for g in grids)]
    carried = interpolate(fields[0][None, None], *grids)
    torch.testing.assert_close(carried[0, 0], fields[1], rtol=0, atol=1e-12)


def test_other_box_is_refused():
    with pytest.raises(ValueError, match="fine has lengths"):
        interpolate(torch.ones(1, 1, 4), Grid((4,), 1.0, True), Grid((8,), 2.0, True))


def test_training_mean_is_the_mean_of_the_targets(generator):
    y = torch.randn(7, 2, 5, 4, generator=generator)
    mean = training_mean(Stored(y, y, Grid((5, 4), 1.0, False)), batch_size=3)
    expected = y.double().mean(0).float().expand(3, 2, 5, 4)
    torch.testing.assert_close(mean(y[:3]), expected)


def test_training_mean_of_constant_fields_has_a_known_error():
    y = torch.tensor([1.0, 3.0]).view(2, 1, 1).expand(2, 1, 6)
    dataset = Stored(y, y, Grid((6,), 1.0, True))
    assert evaluate(training_mean(dataset), dataset)["l2"] == pytest.approx((1 + 1 / 3) / 2)


class OffOnFineGrids(nn.Module):
    """Right by construction on its own grid, and too large by a tenth on any other."""

    def __init__(self, points):
        super().__init__()
        self.points = points

    def forward(self, x):
        return x if x.shape[-1] == self.points else 1.1 * x


def paired(field, coarse, fine, scales=(1.0, 2.0, -0.5)):
    scales = torch.tensor(scales, dtype=torch.float64).view(-1, 1, 1, 1)
    fields = [(scales * field(grid), grid) for grid in (coarse, fine)]
    return [Stored(u, u, grid) for u, grid in fields]


@pytest.mark.parametrize(
    ("field", "grid", "wall_value"),
    [(cubic, Grid((9, 7), BOX, False), 0.0), (waves, Grid((9, 8), BOX, True), None)],
)
def test_rival_interpolates_what_the_model_knows(field, grid, wall_value):
    fine = grid.resized([2 * n for n in grid.shape])
    datasets = paired(field, grid, fine)
    errors = across_resolutions(
        OffOnFineGrids(grid.shape[-1]), *datasets, wall_value=wall_value, batch_size=2
    )
    assert errors["l2"] == pytest.approx(0.1)
    assert errors["h1"] == pytest.approx(0.1)
    for name in ("interpolated_l2", "interpolated_h1", "interpolated_truth_l2"):
        assert errors[name] == pytest.approx(0, abs=1e-11)


def test_error_made_on_the_coarse_grid_stays_with_the_rival():
    grid = Grid((8, 9), BOX, True)
    datasets = paired(waves, grid, grid.resized((16, 18)))
    errors = across_resolutions(lambda x: 1.2 * x, *datasets)
    assert errors["interpolated_l2"] == pytest.approx(0.2)
    assert errors["interpolated_truth_l2"] == pytest.approx(0, abs=1e-12)


def test_datasets_of_other_problems_are_refused():
    grid = Grid((9, 8), BOX, True)
    coarse, fine = paired(waves, grid, grid)
    coarse.x = coarse.x[:2]
    with pytest.raises(ValueError, match="coarse has 2 samples and fine 3"):
        across_resolutions(nn.Identity(), coarse, fine)


@pytest.mark.parametrize("own", [False, True])
def test_the_mean_at_scattered_points_is_of_each_or_of_all(own):
    y = torch.tensor([[[1.0, 3.0]], [[2.0, 6.0]]])
    points = torch.rand(2, 2, 2) if own else torch.rand(2, 2)
    data = PointSet(torch.zeros(2, 1, 3), y, points)
    mean = training_mean(data)
    batch = data.batch([0, 1])
    found = mean(batch.x, points=batch.points)
    expected = [3.0, 3.0] if own else [1.5, 4.5]
    torch.testing.assert_close(found, torch.tensor([[expected]] * 2))
