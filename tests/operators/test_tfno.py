import warnings
from functools import partial

import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.operators import TFNO

PUBLISHED = partial(TFNO, 1, 1, width=32, layers=4)
DARCY = Grid((16, 16), (1.0, 1.0), periodic=False, offset=1 / 1024)


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("modes", "rank", "expected"),
    [(16, 0.05, 72_417), (16, 0.42, 520_761), (16, None, 1_192_801), (8, 0.05, 28_193)],
)
def test_parameter_count_is_the_published_one(modes, rank, expected):
    assert parameter_count(PUBLISHED(modes=(modes, modes), rank=rank)) == expected
    model = PUBLISHED(modes=(modes, modes), rank=rank, domain=DARCY, wall_factor=True)
    assert parameter_count(model) == expected


@pytest.mark.parametrize(
    ("factorization", "rank", "expected"),
    [
        # Sizes: 3 layers, 6 channels in and out, 8 modes and 5 stored ones of 8.
        ("tucker", (3, 4, 4, 5, 2), 3 * 4 * 4 * 5 * 2 + 3 * 3 + 2 * 6 * 4 + 8 * 5 + 5 * 2),
        ("cp", (7,), 7 * (1 + 3 + 6 + 6 + 8 + 5)),
        ("tt", (3, 4, 5, 2), 3 * 3 + 3 * 6 * 4 + 4 * 6 * 5 + 5 * 8 * 2 + 2 * 5),
        ("tucker", None, 3 * 6 * 6 * 8 * 5),
    ],
)
def test_parameter_count_of_a_joint_weight_is_that_of_its_factors(factorization, rank, expected):
    options = {"modes": (8, 8), "width": 6, "layers": 3, "separable": False}
    joint = TFNO(1, 1, **options, rank=rank, factorization=factorization, joint=True)
    dense = TFNO(1, 1, **options)
    everything_else = parameter_count(dense) - 2 * 3 * 6 * 6 * 8 * 5
    assert parameter_count(joint) == 2 * expected + everything_else


# neuraloperator's names of the parts, in the order of ours.
def copy_from_neuraloperator(official, ours):
    for name, network in [("lifting", ours.lifting), ("projection", ours.projection)]:
        copy_network(getattr(official, name), network)
    foreign = official.fno_blocks
    for i, block in enumerate(ours.blocks):
        copy_spectral(foreign.convs[i], block.spectral)
        mlp_skips = None
        if block.mlp is not None:
            copy_network(foreign.channel_mlp[i], block.mlp)
            mlp_skips = foreign.channel_mlp_skips
        skips = [(foreign.fno_skips, block.skip), (mlp_skips, block.mlp_skip)]
        for theirs, skip in skips:
            if theirs is not None:
                copy_parameters(theirs[i], skip)
        for j in range(2):
            if foreign.norm is not None:
                copy_parameters(foreign.norm[2 * i + j], block.norms[j])


def copy_parameters(source, target):
    for value, own in zip(source.parameters(), target.parameters(), strict=True):
        own.data.copy_(value.reshape(own.shape))


def copy_network(source, target):
    copy_parameters(source.fcs[0], target.first)
    copy_parameters(source.fcs[1], target.second)


def copy_spectral(source, target):
    state = source.state_dict()
    loaded = type(target).from_neuraloperator(
        state, in_channels=target.in_channels, out_channels=target.out_channels,
        modes=target.modes, separable=target.separable,
    )  # fmt: skip
    target.load_state_dict(loaded.state_dict())


@pytest.mark.parametrize(
    ("official_options", "options"),
    [
        (dict(rank=0.05), dict(rank=0.05)),
        (dict(factorization=None), dict(rank=None)),
        (dict(rank=0.2, norm="instance_norm"), dict(rank=0.2, norm="instance")),
        (dict(rank=0.2, norm="group_norm"), dict(rank=0.2, norm="layer")),
        (dict(preactivation=True), dict(rank=0.1, preactivation=True)),
        (
            dict(preactivation=True, norm="instance_norm"),
            dict(rank=0.1, preactivation=True, norm="instance"),
        ),
        (dict(domain_padding=[0.25, 0.125]), dict(rank=0.1, domain_padding=(0.25, 0.125))),
        (dict(fno_skip="soft-gating", channel_mlp_skip="linear"),
         dict(rank=0.1, skip="soft-gating", mlp_skip="linear")),
        (dict(fno_skip="identity", channel_mlp_skip=None),
         dict(rank=0.1, skip="identity", mlp_skip=None)),
        (dict(use_channel_mlp=False), dict(rank=0.1, mlp_expansion=0.0)),
        (dict(separable=True, factorization=None), dict(rank=None, separable=True)),
        (dict(channel_mlp_expansion=1.0, lifting_channel_ratio=3, projection_channel_ratio=1),
         dict(rank=0.1, mlp_expansion=1.0, lifting_width=48, projection_width=16)),
        (dict(positional_embedding=None), dict(rank=0.1, coordinates=False)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(16, 16), (24, 10)])
def test_neuraloperator_with_the_same_weights_gives_the_same_field(
    official_options, options, shape, generator
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("neuralop", reason="compares with neuraloperator")
        from neuralop.models import TFNO as Official

        official = Official(
            n_modes=(12, 8), in_channels=2, out_channels=3, hidden_channels=16, n_layers=3,
            **official_options,
        )  # fmt: skip
        ours = TFNO(2, 3, (12, 8), 16, 3, **options)
        copy_from_neuraloperator(official, ours)
        assert parameter_count(ours) == sum(
            p.numel() * (2 if p.is_complex() else 1) for p in official.parameters()
        )
        x = torch.randn(2, 2, *shape, generator=generator)
        expected = official(x).detach()
    error = (ours(x) - expected).abs().max() / expected.abs().max()
    # Both sum in float32, in another order.
    assert error < 3e-5


def test_operator_is_the_same_at_every_resolution(generator):
    # A network of linear parts maps band-limited fields to band-limited fields exactly.
    model = TFNO(1, 1, (6, 6), 4, 2, activation=nn.Identity(), coordinates=False).double()
    i = torch.arange(27, dtype=torch.float64) / 27
    fine = torch.cos(4 * torch.pi * i)[:, None] + torch.sin(2 * torch.pi * i)
    y = model(fine[None, None])
    torch.testing.assert_close(
        y[..., ::3, ::3], model(fine[None, None, ::3, ::3]), rtol=0, atol=1e-12
    )


def received_by_lifting(model, x):
    received = []
    model.lifting.register_forward_hook(lambda module, given, y: received.append(given[0]))
    model(x)
    return received[0]


def test_coordinates_are_i_over_n_without_a_domain(device):
    x = torch.randn(2, 1, 4, 5, device=device)
    lifted = received_by_lifting(TFNO(1, 1, (4, 4), 4, 1).to(device), x)
    assert torch.equal(lifted[:, :1], x)
    i, j = torch.arange(4, device=device) / 4, torch.arange(5, device=device) / 5
    torch.testing.assert_close(lifted[1, 1], i[:, None].expand(4, 5))
    torch.testing.assert_close(lifted[1, 2], j.expand(4, 5))


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Grid((8,), 2.0, periodic=False), [0, 1 / 3, 2 / 3, 1]),
        (Grid((8,), 2.0, periodic=True), [0, 0.25, 0.5, 0.75]),
        (Grid((8,), 2.0, periodic=False, placement="cell"), [0.125, 0.375, 0.625, 0.875]),
        (Grid((8,), 2.0, periodic=False, offset=0.1), [0.05, 0.3, 0.55, 0.8]),
    ],
)
def test_coordinates_are_the_true_positions_over_the_side_of_the_domain(domain, expected):
    lifted = received_by_lifting(TFNO(1, 1, (4,), 4, 1, domain=domain), torch.randn(1, 1, 4))
    torch.testing.assert_close(lifted[0, 1], torch.tensor(expected))


@pytest.mark.parametrize("shape", [(9, 9), (16, 7)])
def test_wall_factor_makes_the_output_zero_on_every_stored_wall(shape, device):
    domain = Grid((8, 8), (1.0, 3.0), periodic=(False, False))
    model = TFNO(1, 1, (4, 4), 4, 1, domain=domain, wall_factor=True).to(device)
    y = model(torch.randn(1, 1, *shape, device=device))
    assert model.zero_on_boundary
    for wall in (y[..., 0, :], y[..., -1, :], y[..., 0], y[..., -1]):
        assert wall.abs().max() == 0
    assert y[..., 1:-1, 1:-1].abs().min() > 0


def test_wall_factor_is_the_tanh_product_over_walls_only():
    domain = Grid((8, 8), (2.0, 1.0), periodic=(False, True), offset=(0.01, 0.0))
    torch.manual_seed(0)
    free = TFNO(1, 1, (4, 4), 4, 1, domain=domain).double()
    torch.manual_seed(0)
    walled = TFNO(1, 1, (4, 4), 4, 1, domain=domain, wall_factor=True).double()
    x = torch.randn(1, 1, 6, 5, dtype=torch.float64)
    s = domain.resized((6, 5)).coordinates()[0] / 2.0
    expected = free(x) * torch.tanh(8 * s) * torch.tanh(8 * (1 - s))
    torch.testing.assert_close(walled(x), expected, rtol=1e-12, atol=1e-12)
    assert not free.zero_on_boundary


@pytest.mark.parametrize(
    ("options", "padded"),
    [
        (dict(domain_padding=0.25), (2 + 8 + 2, 3 + 12 + 3)),
        (dict(domain_padding=0.25, pad_both_sides=False), (8 + 2, 12 + 3)),
        (dict(domain_padding=(0.0, 0.5)), (8, 6 + 12 + 6)),
        (dict(domain_padding=[0.1, 0.1]), (1 + 8 + 1, 1 + 12 + 1)),
    ],
)
def test_domain_padding_is_a_share_of_the_points_and_cropped_exactly(options, padded):
    model = TFNO(1, 1, (4, 4), 4, 1, **options)
    seen = []
    model.blocks[0].register_forward_hook(lambda module, given, y: seen.append(given[0].shape[2:]))
    assert model(torch.randn(1, 1, 8, 12)).shape == (1, 1, 8, 12)
    assert tuple(seen[0]) == padded


@pytest.mark.parametrize("both", [True, False])
def test_padding_is_cropped_where_it_was_added(both):
    model = TFNO(1, 1, (4, 4), 4, 1, domain_padding=0.3, pad_both_sides=both)
    v = torch.randn(1, 4, 7, 10)
    assert torch.equal(model.padding.crop(model.padding.pad(v), (7, 10)), v)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(domain=Grid((8,), 1.0, True)), "modes has 2 entries, expected 1"),
        (dict(wall_factor=True), "wall_factor with domain None"),
        (dict(wall_factor=True, domain=Grid((8, 8), 1.0, True)), "not periodic"),
        (dict(domain_padding=(0.1, 0.1, 0.1)), "domain_padding is"),
        (dict(domain_padding=-0.1), "domain_padding is"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TFNO(1, 1, (4, 4), 4, 1, **options)
