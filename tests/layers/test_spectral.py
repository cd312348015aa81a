import itertools
import json
import os
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pdesolve.layers import SpectralConv
from pdesolve.layers.band import lowest_modes

SIZES = [(n,) for n in (8, 9, 15, 16, 31, 32, 33)]
SIZES += [(n, n) for n in (8, 9, 15, 16, 31, 32, 33)] + [(8, 9), (33, 16), (9, 32), (1, 15)]
SIZES += [(8, 8, 8), (9, 9, 9), (15, 8, 9), (8, 16, 15), (33, 9, 8), (16, 31, 15)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def band_limited(shape, bound, generator):
    """Field of unit size with random modes |k_j| <= bound_j, as a function of the grid's shape.

    Σ a cos(k·x) + b sin(k·x) at x_j = 2π i / n_j; at most about forty of the modes are used.
    """
    modes = list(itertools.product(*(range(-b, b + 1) for b in bound)))
    modes = [(0,) * len(bound), tuple(bound), *modes[:: len(modes) // 40 + 1]]
    amplitudes = torch.randn(len(modes), 2, generator=generator, dtype=torch.float64) / len(modes)

    def field(shape):
        axes = [2 * torch.pi * torch.arange(n, dtype=torch.float64) / n for n in shape]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        phases = torch.tensordot(torch.tensor(modes, dtype=torch.float64), points, dims=1)
        waves = torch.stack([torch.cos(phases), torch.sin(phases)], 1)
        return torch.tensordot(amplitudes, waves, dims=2)[None, None]

    return field(shape), field


def all_pass(dims, modes):
    layer = SpectralConv(1, 1, (modes,) * dims, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.0]).expand_as(layer.weight))
    return layer


@DTYPES
@pytest.mark.parametrize("modes", [5, 6, 12, 40])
@pytest.mark.parametrize("shape", SIZES)
def test_all_ones_weights_return_any_band_limited_field(shape, modes, dtype, device, generator):
    x, _ = band_limited(shape, [(min(n, modes) - 1) // 2 for n in shape], generator)
    x = x.to(device, dtype)
    layer = all_pass(len(shape), modes).to(device, dtype)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize(
    ("shape", "output_shape"),
    [((32,), (50,)), ((32,), (15,)), ((32, 32), (64, 64)), ((32, 33), (48, 15)),
     ((15, 32), (16, 16)), ((64, 64), (32, 32)), ((16, 16, 16), (32, 31, 18))],
)  # fmt: skip
def test_resized_output_is_the_trigonometric_sum_on_the_new_points(
    shape, output_shape, dtype, device, generator
):
    smallest = [min(n, m) for n, m in zip(shape, output_shape, strict=True)]
    x, field = band_limited(shape, [(min(n, 12) - 1) // 2 for n in smallest], generator)
    y = all_pass(len(shape), 12).to(device, dtype)(x.to(device, dtype), output_shape)
    expected = field(output_shape).to(device, dtype)
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("rank", [None, 0.3])
@pytest.mark.parametrize(
    ("coarse", "times"), [((9,), 3), ((8, 11), 2), ((9, 9), 3), ((16, 15), 2), ((7, 8, 9), 3)]
)
def test_same_weights_agree_at_the_points_that_two_grids_share(coarse, times, rank, generator):
    # Sizes above and below the 12 modes, odd and even.
    fine = [times * n for n in coarse]
    x_coarse, field = band_limited(coarse, [(min(n, 12) - 1) // 2 for n in coarse], generator)
    layer = SpectralConv(1, 2, (12,) * len(coarse), rank).double()
    shared = layer(field(fine))[(..., *[slice(None, None, times)] * len(coarse))]
    torch.testing.assert_close(shared, layer(x_coarse), rtol=0, atol=1e-12)


def reconstructed(layer):
    """Dense weight (*modes, in, out) or (*modes, channels) of a Tucker layer, by its definition."""
    names = [n for n in layer.complex_pairs if n != "core"]
    factors = [torch.view_as_complex(getattr(layer, n)) for n in names]
    small, large = "abcde"[: len(factors)], "ijklm"[: len(factors)]
    pairs = ",".join(f"{n}{r}" for n, r in zip(large, small, strict=True))
    return torch.einsum(f"{small},{pairs}->{large}", torch.view_as_complex(layer.core), *factors)


@DTYPES
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("shape", [(16,), (12, 9), (8, 7, 6)])
def test_tucker_layer_equals_the_dense_layer_of_its_product(
    shape, separable, dtype, device, generator
):
    modes = (9, 8, 6)[: len(shape)]
    tucker = SpectralConv(4, 4, modes, 0.3, separable=separable).to(device, dtype)
    dense = SpectralConv(4, 4, modes, separable=separable).to(device, dtype)
    with torch.no_grad():
        dense.weight.copy_(torch.view_as_real(reconstructed(tucker)))
        dense.bias.copy_(tucker.bias)
    x = torch.randn(2, 4, *shape, generator=generator).to(device, dtype)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(tucker(x), dense(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rank", [None, 0.5])
@pytest.mark.parametrize("separable", [False, True])
def test_gradients_are_those_of_finite_differences(rank, separable, generator):
    layer = SpectralConv(2, 2, (3, 4), rank, separable=separable).double()
    x = torch.randn(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def output(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, (4, 7)))

    assert torch.autograd.gradcheck(output, (x, *values))


@pytest.mark.parametrize("rank", [None, 0.1, 0.5])
def test_initial_weights_have_the_variance_of_two_over_the_channels(rank):
    torch.manual_seed(0)
    layers = [SpectralConv(32, 32, (16, 16), rank) for _ in range(8)]
    weights = [
        torch.view_as_complex(x.weight) if rank is None else reconstructed(x) for x in layers
    ]
    variance = torch.stack(weights).abs().square().mean().item()
    # 8 draws of a Tucker tensor scatter by a tenth.
    assert variance == pytest.approx(2 / 64, rel=0.02 if rank is None else 0.25)


def test_construction_is_repeated_by_torchs_seed():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(SpectralConv(2, 2, (4, 4), 0.5).core)
    assert torch.equal(*drawn)


def test_ranks_may_be_given_channels_first():
    layer = SpectralConv(8, 6, (8, 10), (4, 3, 5, 2))
    assert layer.core.shape == (5, 2, 4, 3, 2)
    assert layer.in_factor.shape == (8, 4, 2)
    assert layer.out_factor.shape == (6, 3, 2)
    assert layer.mode_factor_0.shape == (8, 5, 2)
    assert layer.mode_factor_1.shape == (6, 2, 2)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("rank", [None, 0.5])
def test_complex_pairs_name_every_parameter_but_the_bias(rank, separable):
    layer = SpectralConv(2, 2, (4, 4), rank, separable=separable)
    assert set(layer.complex_pairs) == {n for n, _ in layer.named_parameters()} - {"bias"}
    assert all(getattr(layer, name).shape[-1] == 2 for name in layer.complex_pairs)


def test_autocast_does_not_lower_the_spectral_block(device, generator, monkeypatch):
    enabled = []

    def watched(x, modes):
        enabled.append(torch.is_autocast_enabled(device.type))
        return lowest_modes(x, modes)

    monkeypatch.setattr("pdesolve.layers.spectral.lowest_modes", watched)
    layer = SpectralConv(3, 3, (6, 6), 0.5).to(device)
    x = torch.randn(1, 3, 12, 12, generator=generator).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        lowered = layer(x)
    assert lowered.dtype == torch.float32
    assert enabled == [False]
    assert torch.equal(lowered, layer(x))


def test_a_bfloat16_field_is_computed_in_float32(device, generator):
    layer = SpectralConv(3, 3, (6, 6)).to(device)
    x = torch.randn(1, 3, 12, 12, generator=generator).to(device, torch.bfloat16)
    assert torch.equal(layer(x), layer(x.float()))
    lowered = layer.bfloat16()(x)
    assert torch.equal(lowered, layer.float()(x))


def test_weights_of_another_layout_are_refused():
    layer = SpectralConv(2, 2, (4, 4))
    state = layer.state_dict() | {"layout_version": torch.tensor(7)}
    with pytest.raises(RuntimeError, match="layout_version is 7, expected 1"):
        layer.load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(modes=()), "expected 1 to 3 numbers"),
        (dict(modes=(4, 0)), "expected 1 to 3 numbers"),
        (dict(modes=(4, 4), separable=True), "give equal numbers"),
        (dict(modes=(4, 4), rank=1), r"write 1\.0 if a share"),
        (dict(modes=(4, 4), rank=(2, 2, 4)), "one number for each of the sizes"),
        (dict(modes=(4, 4), rank=(9, 3, 4, 3)), "between 1 and the size"),
        (dict(modes=(4, 4), rank=-0.5), "expected > 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpectralConv(2, 3, **arguments)


def test_a_field_of_other_axes_or_channels_is_refused():
    layer = SpectralConv(2, 3, (4, 4))
    with pytest.raises(
        ValueError, match=r"shape \(1, 2, 8\), expected \(batch, 2 channels, 2 grid"
    ):
        layer(torch.ones(1, 2, 8))
    with pytest.raises(ValueError, match="2 channels"):
        layer(torch.ones(1, 3, 8, 8))
    with pytest.raises(ValueError, match="output_shape"):
        layer(torch.ones(1, 2, 8, 8), (8,))


FACTORISATIONS = {"tucker", "dense"}


def golden_names():
    """Fixture files, found when the tests are collected (one test each)."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("PDESOLVE_GOLDEN", root.parent / "shared" / "data" / "golden"))
    return sorted(p.stem for p in folder.glob("spectral_conv_*.json")) or ["none"]


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_names())
def test_official_weights_give_the_official_output(name, golden, device):
    description = json.loads((golden / f"{name}.json").read_text())
    tensors = load_file(golden / f"{name}.safetensors")
    constructor = description["constructor"]
    if constructor.pop("factorization", "dense") not in FACTORISATIONS:
        pytest.skip("CP and TT weights come with the joint factorisation")
    layer = SpectralConv.from_neuraloperator(
        official_weights(tensors),
        in_channels=constructor["in_channels"],
        out_channels=constructor["out_channels"],
        modes=constructor["n_modes"],
        separable=constructor.get("separable", False),
    ).to(device)
    assert sum(p.numel() for p in layer.parameters()) == description["parameters"]
    x = tensors["input"].to(device, torch.float64).requires_grad_()
    y = layer(x, description.get("output_shape"))
    assert_within(y, tensors["output"], 1e-12)
    if "probe" in tensors:
        (gradient,) = torch.autograd.grad((y * tensors["probe"].to(device)).sum(), x)
        assert_within(gradient, tensors["grad_input"], 1e-12)


def official_weights(tensors):
    stored = {k.removeprefix("weights/"): v.double() for k, v in tensors.items() if "weights/" in k}
    weights = {k: v for k, v in stored.items() if not k.endswith((".re", ".im"))}
    for name in {k[:-3] for k in stored if k.endswith(".re")}:
        weights[name] = torch.complex(stored[f"{name}.re"], stored[f"{name}.im"])
    return weights


def assert_within(actual, expected, tolerance):
    error = (actual.cpu() - expected).abs().max() / expected.abs().max()
    assert error < tolerance


@pytest.fixture(scope="module")
def neuralop_layer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("neuralop", reason="compares with neuraloperator")
        from neuralop.layers.spectral_convolution import SpectralConv as Official
    return Official


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("factorization", [None, "Tucker"])
@pytest.mark.parametrize("shape", [(16,), (32, 24), (8, 12, 10), (16, 8), (6, 32)])
def test_neuraloperator_agrees_on_even_grids(
    shape, factorization, separable, neuralop_layer, generator
):
    modes = (12, 8, 6)[: len(shape)]
    official = neuralop_layer(
        4, 4, modes, factorization=factorization, rank=0.4, separable=separable,
        implementation="factorized",
    )  # fmt: skip
    layer = SpectralConv.from_neuraloperator(
        official.state_dict(), in_channels=4, out_channels=4, modes=modes, separable=separable
    )
    x = torch.randn(2, 4, *shape, generator=generator)
    expected = official(x).detach()
    assert_within(layer(x), expected, 1e-5)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("factorization", [None, "Tucker"])
def test_neuraloperator_loads_our_weights(factorization, separable, neuralop_layer):
    rank = None if factorization is None else 0.4
    ours = SpectralConv(4, 4, (6, 8), rank, separable=separable)
    official = neuralop_layer(
        4, 4, (6, 8), factorization=factorization, rank=0.4, separable=separable
    )
    official.load_state_dict(ours.to_neuraloperator())
    back = SpectralConv.from_neuraloperator(
        official.state_dict(), in_channels=4, out_channels=4, modes=(6, 8), separable=separable
    )
    for name, value in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
