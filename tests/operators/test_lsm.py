import pytest
import torch

from pdesolve import Grid
from pdesolve.operators import LSM


def small(in_channels=1, out_channels=1, **options):
    torch.manual_seed(0)
    size = {"width": 4, "heads": 2, "scales": 3}
    return LSM(in_channels, out_channels, **size | options).eval()


# Width, channels, axes and count of the official classes in their published runs.
@pytest.mark.parametrize(
    ("width", "channels", "dims", "expected"),
    [
        (32, (1, 1), 2, 4_812_801),
        (32, (1, 4), 3, 13_457_828),
        (64, (10, 1), 2, 19_188_033),
        (64, (1, 1), 2, 19_187_457),
        (32, (2, 1), 2, 4_812_833),
        (48, (2, 1), 2, 10_804_913),
    ],
    ids=["elasticity on a grid", "plasticity", "navier-stokes", "darcy", "airfoil", "pipe"],
)
def test_parameter_count_is_the_published_one(width, channels, dims, expected):
    with torch.device("meta"):
        model = LSM(*channels, width, dims=dims)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("shape", [(64, 64), (85, 85), (64, 85), (53, 64)])
def test_published_sizes_and_those_the_published_code_empties_are_taken(shape, device):
    model = LSM(1, 2, 8, heads=4).eval().to(device)
    with torch.no_grad():
        assert model(torch.randn(1, 1, *shape, device=device)).shape == (1, 2, *shape)


# Published: points and padding of the benchmarks, in our order.
@pytest.mark.parametrize(
    ("grid", "patch", "padding"),
    [
        ((41, 41), (3, 3), (7, 7)),
        ((101, 31, 20), (7, 2, 2), (11, 1, 12)),
        ((64, 64), (4, 4), (0, 0)),
        ((85, 85), (6, 6), (11, 11)),
        ((221, 51), (14, 4), (3, 13)),
        ((129, 129), (9, 9), (15, 15)),
    ],
)
def test_automatic_patch_and_padding_are_the_published_ones(grid, patch, padding):
    with torch.device("meta"):
        free = LSM(1, 1, 8, dims=len(grid))
        fixed = LSM(1, 1, 8, dims=len(grid), patch=patch)
    assert free._fit(grid) == fixed._fit(grid) == (patch, padding)


def test_padding_that_holds_zeros_is_that_of_the_lifted_field(device):
    model = small().double().to(device)
    seen = []
    model.body.register_forward_hook(lambda module, given, y: seen.append(given[0]))
    x = torch.randn(1, 1, 7, 8, dtype=torch.float64, device=device)
    model(x)
    assert seen[0].shape == (1, 4, 8, 8)
    assert (seen[0][..., 7, :] == 0).all()
    s = torch.linspace(0, 1, 7, dtype=torch.float64, device=device)
    t = torch.linspace(0, 1, 8, dtype=torch.float64, device=device)
    channels = torch.stack([x[0, 0], s[:, None].expand(7, 8), t.expand(7, 8)])
    expected = torch.einsum("oi,ixy->oxy", model.lifting.weight[:, :, 0, 0], channels)
    expected = expected + model.lifting.bias[:, None, None]
    torch.testing.assert_close(seen[0][0, :, :7], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("mode", "behind"), [("replicate", -1), ("circular", 0)])
def test_padding_can_hold_the_last_or_the_first_points(mode, behind):
    model = small(padding_mode=mode)
    v = torch.randn(1, 4, 7, 8)
    assert torch.equal(model._pad(v, (1, 0))[..., -1, :], v[..., behind, :])


def test_coordinates_are_those_of_the_domain():
    domain = Grid((8,), 2.0, periodic=True)
    model = small(domain=domain)
    assert torch.equal(model._coordinates(torch.ones(1, 1, 8))[0, 0], torch.arange(8) / 8)


def test_another_grid_than_the_domains_is_refused_or_resampled():
    domain = Grid((9, 9), 1.0, periodic=False)
    x = torch.randn(2, 1, 17, 17, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"x has grid \(17, 17\), expected \(9, 9\)"):
        small(domain=domain).double()(x)
    # Every second node is a node of the domain; in between a resampled field is linear.
    model = small(domain=domain, grid_policy="resample").double()
    coarse = model(x[..., ::2, ::2])
    fine = model(x.clone().index_fill_(2, torch.arange(1, 17, 2), torch.nan).nan_to_num())
    assert fine.shape == x.shape
    torch.testing.assert_close(fine[..., ::2, ::2], coarse, rtol=0, atol=1e-12)
    middle = (fine[..., :-2:2, :] + fine[..., 2::2, :]) / 2
    torch.testing.assert_close(fine[..., 1::2, :], middle, rtol=0, atol=1e-12)


def test_frames_are_the_last_axis_of_an_operator_in_space_and_time(device):
    domain = Grid((7, 6), (1.0, 2.0), False)
    model = small(2, 6, frames=3, domain=domain).double().to(device)
    volume = small(2, 2, dims=3).double().to(device)
    volume.load_state_dict(model.state_dict())
    x = torch.randn(2, 2, 7, 6, dtype=torch.float64, device=device)
    frames = volume(torch.stack([x] * 3, -1))
    # Frame by frame, and inside a frame channel by channel.
    expected = torch.cat([frames[..., k] for k in range(3)], 1)
    torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-12)


def test_parameter_count_of_plasticity_as_frames_is_the_published_one():
    with torch.device("meta"):
        model = LSM(1, 80, 32, frames=20)
    assert sum(p.numel() for p in model.parameters()) == 13_457_828
    assert model._fit((101, 31, 20)) == ((7, 2, 2), (11, 1, 12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(out_channels=7, frames=3), "out_channels is 7 with 3 frames"),
        (dict(dims=3, frames=1), r"dims is 3, expected one of \(1, 2\)"),
        (dict(width=6, heads=4), "width 6 is not a multiple of heads 4"),
        (dict(patch=(1, 2, 3)), "patch is"),
        (dict(patch=0), "patch is 0, expected a number of points >= 1"),
        (dict(padding=-1), "padding is -1"),
        (dict(dims=4), "dims is 4"),
        (dict(dims=1, domain=Grid((8, 8), 1.0, False)), "dims is 1, expected 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_padding_that_leaves_parts_of_patches_is_refused():
    with pytest.raises(ValueError, match=r"padding \(1, 1\) makes of grid"):
        small(padding=1)(torch.ones(1, 1, 8, 8))
