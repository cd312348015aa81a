import numpy as np
import pytest
import torch

from pdesolve.batch import Batch
from pdesolve.datasets import from_arrays
from pdesolve.grid import Grid
from pdesolve.training import GridSymmetries
from pdesolve.training.augmentation import random_choices

PUBLISHED = Grid((16, 16), 1.0, False, offset=1 / 1024)


def batch_of(field, grid, mask=None):
    """Sixty-four copies of one sample, so that every symmetry is drawn."""
    copies = field[None, None].expand(64, 1, *field.shape).clone()
    mask = None if mask is None else mask[None, None].expand_as(copies).clone()
    return Batch(copies, copies.clone(), grid, mask=mask)


def seen(augmentation, batch, field="y"):
    out = augmentation(batch, range(len(batch)), seed=0, epoch=0)
    return torch.unique(getattr(out, field)[:, 0], dim=0)


def among(field, many):
    return any(torch.equal(field, other) for other in many)


def test_transposition_on_the_published_grid_is_used_and_reversal_is_not(generator, device):
    field = torch.randn(16, 16, generator=generator).to(device)
    views = seen(GridSymmetries(), batch_of(field, PUBLISHED))
    assert len(views) == 2
    assert among(field, views)
    assert among(field.T, views)
    assert not among(field.flip(0), views)


@pytest.mark.parametrize("placement", ["node", "cell"])
def test_all_eight_symmetries_of_a_square_are_used(generator, placement):
    field = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    views = seen(GridSymmetries(), batch_of(field, Grid((5, 5), 1.0, False, placement)))
    rotations = [torch.rot90(field, k) for k in range(4)]
    assert len(views) == 8
    assert all(among(view, views) for r in rotations for view in (r, r.T))


def test_rectangle_is_never_transposed(generator):
    field = torch.randn(4, 6, generator=generator)
    assert len(seen(GridSymmetries(), batch_of(field, Grid((4, 6), 1.0, False)))) == 4


def test_periodic_reflection_maps_x_to_minus_x():
    grid = Grid((7,), 1.0, True)
    x = grid.axis(0)
    field = torch.sin(2 * torch.pi * x) + torch.cos(4 * torch.pi * x)
    mirrored = -torch.sin(2 * torch.pi * x) + torch.cos(4 * torch.pi * x)
    views = seen(GridSymmetries(), batch_of(field, grid))
    assert len(views) == 2
    assert min((view - mirrored).abs().max() for view in views) < 1e-12


def test_input_target_and_mask_are_seen_alike(generator):
    field = torch.randn(5, 5, generator=generator)
    batch = batch_of(field, Grid((5, 5), 1.0, False), mask=field)
    out = GridSymmetries()(batch, range(64), seed=3, epoch=1)
    assert torch.equal(out.x, out.y)
    assert torch.equal(out.x, out.mask)


def test_approximate_reflection_is_exact_for_fields_linear_to_the_walls():
    x, y = PUBLISHED.coordinates()
    # Linear along x, 0 at x = 1; its mirror image is x, 0 at x = 0.
    field, mirrored = (1 - x) * y, x * y
    views = seen(GridSymmetries(approximate_reflection=True), batch_of(field, PUBLISHED))
    assert min((view - mirrored).abs().max() for view in views) < 1e-14


def test_approximate_reflection_of_a_smooth_field_has_the_error_of_interpolation():
    x, y = PUBLISHED.coordinates()

    def field(x):
        return torch.sin(torch.pi * x) * (1 + x) * torch.sin(torch.pi * y)

    views = seen(GridSymmetries(approximate_reflection=True), batch_of(field(x), PUBLISHED))
    error = min((view - field(1 - x)).norm() for view in views) / field(x).norm()
    naive = (field(x).flip(0) - field(1 - x)).norm() / field(x).norm()
    assert error < 1e-3
    assert naive > 0.1


def test_approximate_reflection_keeps_a_coefficient_two_phase(generator):
    coefficient = (torch.randn(16, 16, generator=generator) > 0).float()
    batch = batch_of(coefficient, PUBLISHED)
    views = seen(GridSymmetries(approximate_reflection=True), batch, "x")
    assert set(views.unique().tolist()) == {0.0, 1.0}
    rolled = coefficient.flip(0).roll(1, 0)
    rolled[0] = coefficient[-1]
    assert among(rolled, views)


def test_choices_are_a_function_of_seed_epoch_and_index_alone():
    every = random_choices(8, range(100), seed=1, epoch=2)
    some = random_choices(8, [57, 3], seed=1, epoch=2)
    assert some.tolist() == [every[57], every[3]]
    assert not np.array_equal(every, random_choices(8, range(100), seed=1, epoch=3))
    assert not np.array_equal(every, random_choices(8, range(100), seed=2, epoch=2))


def test_choices_are_uniform():
    counts = np.bincount(random_choices(8, range(80_000), seed=0, epoch=0), minlength=8)
    # Chi squared with 7 degrees of freedom exceeds 24.3 once in a thousand.
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 24.3


def dataset(grid, **names):
    fields = torch.ones(2, len(names.get("output_names", "u")), *grid.shape)
    return from_arrays(torch.ones(2, 1, *grid.shape), fields, grid=grid, **names)


def test_vector_components_are_refused():
    data = dataset(Grid((4, 4), 1.0, True), output_names=["velocity_x", "velocity_y"])
    with pytest.raises(ValueError, match=r"velocity_x.*components of vectors"):
        GridSymmetries().check(data)


@pytest.mark.parametrize("grid", [Grid((4, 4), 1.0, False), Grid((4, 4), 1.0, True)])
def test_approximate_reflection_on_an_exact_grid_is_refused(grid):
    with pytest.raises(ValueError, match="approximate_reflection is True"):
        GridSymmetries(approximate_reflection=True).check(dataset(grid))


def test_grid_without_symmetry_is_refused():
    with pytest.raises(ValueError, match="no symmetry but the identity"):
        GridSymmetries().check(dataset(Grid((4, 6), 1.0, False, offset=0.01)))


def test_published_grid_passes():
    GridSymmetries().check(dataset(PUBLISHED))
    GridSymmetries(approximate_reflection=True).check(dataset(PUBLISHED))
