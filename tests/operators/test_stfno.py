import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.operators import STFNO
from pdesolve.operators.stfno import coordinates, products
from pdesolve.ops import fourier

VELOCITY = Grid((8, 10), (1.0, 2.0), periodic=True)


def built(*args, seed=0, **options):
    torch.manual_seed(seed)
    return STFNO(*args, **options).double()


def frames(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("modes", "width", "mlp_width", "expected"),
    # The second network's pointwise layers have 4 x width channels, the first one's 128.
    [((8, 24, 24), 20, 128, 9_250_333), ((8, 64, 64), 10, 40, 16_469_791)],
)
def test_parameter_count_is_the_published_one(modes, width, mlp_width, expected):
    with torch.device("meta"):
        model = STFNO(10, 10, modes, width, mlp_expansion=mlp_width / width)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("steps", [10, 20, 31])
def test_stretched_output_steps_sample_the_same_change_in_time_finer(steps):
    model = built(4, 40, (8, 4, 4), 6, frame_times="stretched")
    x = frames(1, 1, 4, 5, 6)

    def change_and_phases(output_steps):
        # Output is the end of a periodic window: latent frames and the last one, twice.
        window = 2 * (model.blocks[0].frames + 1) + output_steps - model.blocks[0].frames
        kept = torch.arange(window - output_steps, window, dtype=torch.float64)
        change = model(x, output_steps=output_steps) - x[:, :, -1:]
        return change.movedim(2, 0).flatten(1), 2 * torch.pi * kept / window

    def waves(phases):
        angles = phases[:, None] * torch.arange(5)
        return torch.cat([angles.cos(), angles.sin()[:, 1:]], 1)

    change, phases = change_and_phases(40)
    amplitudes = torch.linalg.lstsq(waves(phases), change).solution
    torch.testing.assert_close(waves(phases) @ amplitudes, change, rtol=0, atol=1e-10)
    other, phases = change_and_phases(steps)
    torch.testing.assert_close(waves(phases) @ amplitudes, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 3, 6, 10, 15])
def test_frames_have_their_times_whatever_number_is_asked_for(steps):
    model = built(2, 6, (4, 4, 4), 4, latent_steps=3, layers=2)
    x = frames(1, 1, 2, 5, 6)
    first = model(x)
    second = model(first[:, :, -2:])
    third = model(second[:, :, -2:])
    expected = torch.cat([first, second, third], 2)[:, :, :steps]
    torch.testing.assert_close(model(x, output_steps=steps), expected, rtol=0, atol=1e-13)


def test_one_call_makes_no_more_frames_than_it_has():
    model = built(2, 6, (4, 4, 4), 4, latent_steps=3, layers=2)
    x = frames(1, 1, 2, 5, 6)
    with pytest.raises(ValueError, match="at most 6 of one call"):
        model.output(model.latent(x), x, 7)


@pytest.mark.parametrize(("frames_given", "latent_steps"), [(1, 4), (3, 4), (9, 4), (5, 1)])
def test_any_number_of_frames_leads_to_any_other(frames_given, latent_steps):
    model = built(3, 2, (4, 4, 4), 4, latent_steps=latent_steps, layers=2)
    x = frames(2, 1, frames_given, 6, 5)
    assert model.latent(x).shape == (2, 1, latent_steps, 6, 5)
    assert model(x).shape == (2, 1, 2, 6, 5)
    assert model(x, output_steps=7).shape == (2, 1, 7, 6, 5)


def test_frames_as_channels_are_the_same_frames():
    model = built(6, 4, (4, 4, 4), 5, fields=2, layers=2)
    x = frames(2, 2, 3, 6, 5)
    as_channels = torch.stack([x[:, c, t] for t in range(3) for c in range(2)], 1)
    y, expected = model(as_channels, output_steps=3), model(x, output_steps=3)
    for t in range(3):
        for c in range(2):
            assert torch.equal(y[:, 2 * t + c], expected[:, c, t])


def test_without_its_last_layer_every_frame_is_the_last_one_given():
    model = built(4, 3, (4, 4, 4), 4, layers=1)
    with torch.no_grad():
        model.last_spectral.spectral.weight.dense.zero_()
    x = frames(2, 1, 4, 6, 5)
    assert torch.equal(model(x), x[:, :, -1:].expand(2, 1, 3, 6, 5))


@pytest.mark.parametrize("grid", [(6, 5), (7, 8)])
def test_full_last_modes_let_every_latent_frame_pass(grid):
    domain = Grid(grid, 1.0, periodic=True)
    model = built(2, 3, (4, 4, 4), 4, layers=1, latent_steps=3, last_modes="full", domain=domain)
    weight = model.last_spectral.spectral.weight.dense
    with torch.no_grad():
        weight.copy_(torch.tensor([1.0, 0.0]).expand_as(weight))
    x, z = frames(2, 1, 2, *grid), frames(2, 1, 3, *grid, seed=2)
    torch.testing.assert_close(model.output(z, x, 3), x[:, :, -1:] + z, rtol=0, atol=1e-12)


def test_the_bias_of_the_last_layer_is_a_wave_in_space_and_time():
    model = built(2, 4, (4, 4, 4), 4, layers=1, latent_steps=2, bias_scale=0.5)
    last = model.last_spectral.spectral
    with torch.no_grad():
        last.weight.dense.zero_()
        # Mode (x, y, t) = (1, 0, 1): its conjugate is implied.
        last.mode_bias.pairs[1, 0, 1, 0] = torch.tensor([3.0, 0.0])
    y = model(torch.zeros(1, 1, 2, 8, 6, dtype=torch.float64))[0, 0, :, :, 0]
    # The window of Q has 3 frames of zeros, one more, and the four wanted.
    t, x = (torch.arange(a, 8, dtype=torch.float64) / 8 for a in (4, 0))
    expected = 2 * 0.5 * 3 * torch.cos(2 * torch.pi * (t[:, None] + x))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)


def test_a_projected_velocity_has_no_divergence():
    model = built(4, 4, (4, 4, 4), 5, fields=2, layers=1, helmholtz=True, domain=VELOCITY)
    u, v = model(frames(2, 2, 2, 8, 10)).unbind(1)
    divergence = fourier.derivative(u, (1, 0), VELOCITY.lengths)
    divergence += fourier.derivative(v, (0, 1), VELOCITY.lengths)
    assert u.abs().max() > 0.1
    torch.testing.assert_close(divergence, torch.zeros_like(u), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [0, -1])
def test_no_output_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"output_steps is {steps}, expected >= 1"):
        built(2, 2, (4, 4, 4), 4, layers=1)(frames(1, 2, 6, 6), output_steps=steps)


def test_operator_works_on_a_line_and_with_products_as_positions():
    model = built(3, 2, (4, 6), 4, layers=2, positions="products")
    assert model(frames(2, 3, 9)).shape == (2, 2, 9)
    assert model.space_time(frames(2, 3, 9)).shape == (2, 1, 3, 9)


def test_coordinates_are_places_times_and_waves_in_time():
    axes = [torch.arange(4) / 4, torch.arange(2) / 2, torch.arange(1, 4) / 100]
    found = coordinates(axes, 6, 2.0)
    assert found.shape == (6, 4, 2, 3)
    assert found[:3, 3, 1, 2].tolist() == pytest.approx([0.75, 0.5, 0.03])
    growth = math.exp(2 * 0.03)
    expected = [
        growth * math.sin(math.pi * 0.03),
        growth * math.cos(2 * math.pi * 0.03),
        growth * math.sin(3 * math.pi * 0.03),
    ]
    assert found[3:, 3, 1, 2].tolist() == pytest.approx(expected)


def test_products_are_waves_over_their_numbers():
    axes = [torch.arange(5) / 5, torch.arange(4) / 4, torch.arange(1, 4) / 100]
    found = products(axes, (3, 2, 1), 2.0)
    assert found.shape == (6, 5, 4, 3)
    # The channel of i = 3 (sin 4πx), j = 2 (cos 2πy), k = 1 (sin 2πt).
    x, y, t = 0.2, 0.5, 0.02
    expected = math.sin(4 * math.pi * x) * math.cos(2 * math.pi * y) * math.sin(2 * math.pi * t)
    assert found[5, 1, 2, 1].item() == pytest.approx(expected * math.exp(2 * t) / 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 3, "fields": 2}, "in_channels is 3, expected a multiple of fields 2"),
        ({"modes": (4, 4, 4, 4)}, "expected numbers for time and for one or two axes"),
        ({"width": 2}, "width, latent_steps and layers are 2"),
        ({"last_modes": "full"}, "pass domain=Grid"),
        ({"helmholtz": True, "domain": VELOCITY}, "helmholtz with fields 1, expected 2"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    arguments = {"in_channels": 4, "out_channels": 4, "modes": (4, 4, 4), "width": 4}
    with pytest.raises(ValueError, match=message):
        STFNO(**arguments | options)
