import itertools

import pytest
import torch

from pdesolve.layers import SpectralConv, to_matmul
from pdesolve.ops import band_matmul
from pdesolve.ops.memory import is_channels_last, to_channels_last

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
        layer.weight.dense.copy_(torch.tensor([1.0, 0.0]).expand_as(layer.weight.dense))
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


@pytest.mark.parametrize("rank", [None, 0.5])
@pytest.mark.parametrize("separable", [False, True])
def test_gradients_are_those_of_finite_differences(rank, separable, generator):
    layer = SpectralConv(2, 2, (3, 4), rank, separable=separable).double()
    x = torch.randn(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def output(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, (4, 7)))

    assert torch.autograd.gradcheck(output, (x, *values))


def test_autocast_does_not_lower_the_spectral_block(device, generator, monkeypatch):
    enabled = []

    lowest_modes = band_matmul.lowest_modes

    def watched(x, modes):
        enabled.append(torch.is_autocast_enabled(device.type))
        return lowest_modes(x, modes)

    monkeypatch.setattr(band_matmul, "lowest_modes", watched)
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(modes=()), "expected 1 to 3 numbers"),
        (dict(modes=(4, 0)), "expected 1 to 3 numbers"),
        (dict(modes=(4, 4), separable=True), "give equal numbers"),
        (dict(modes=(4, 4), rank=1), r"write 1\.0 if a share"),
        (dict(modes=(4, 4), rank=(2, 2, 4)), "expected 4 whole numbers"),
        (dict(modes=(4, 4), rank=(9, 3, 4, 3)), "between 1 and"),
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


FORMS = pytest.mark.parametrize(
    "form",
    [{}, {"rank": 0.3}, {"rank": 0.3, "factorization": "cp"},
     {"rank": 0.3, "factorization": "tt"}, {"rank": 0.3, "separable": True}],
    ids=["dense", "tucker", "cp", "tt", "separable"],
)  # fmt: skip


def complex_values(graph):
    found = [node.meta.get("val") for node in graph.nodes]
    return [v for v in found if isinstance(v, torch.Tensor) and v.is_complex()]


@pytest.mark.compile
@FORMS
@pytest.mark.parametrize("shape", [(12, 9), (6, 7, 8)])
def test_the_exported_layer_is_the_same_and_holds_no_complex_number(shape, form, generator):
    layer = SpectralConv(4, 4, (6, 5, 4)[: len(shape)], **form).eval()
    x = torch.randn(2, 4, *shape, generator=generator)
    exported = torch.export.export(to_matmul(layer), (x,))
    assert complex_values(exported.graph) == []
    torch.testing.assert_close(exported.module()(x), layer(x))


@pytest.mark.compile
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@FORMS
def test_the_compiled_layer_is_one_graph_and_has_the_same_gradients(
    form, backend, device, generator
):
    layer = SpectralConv(4, 4, (6, 5), **form).to(device)
    x = torch.randn(2, 4, 12, 9, generator=generator).to(device).requires_grad_()
    results = []
    compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=False)
    for called in (layer, compiled):
        y = called(x)
        gradients = torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])
        results.append((y, *gradients))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform", ["matmul", "fft", "auto"])
@pytest.mark.parametrize("shape", [(9,), (16, 12), (5, 6, 7)])
def test_every_transform_gives_the_same_field_in_the_format_of_the_input(
    shape, transform, device, generator
):
    layer = SpectralConv(3, 2, (8, 6, 5)[: len(shape)]).to(device).double()
    x = torch.randn(2, 3, *shape, generator=generator, dtype=torch.float64).to(device)
    layer.transform = "fft"
    expected = layer(x)
    layer.transform = transform
    for given in (x, to_channels_last(x)):
        y = layer(given)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
        assert is_channels_last(y) == is_channels_last(given)
    assert to_matmul(torch.nn.Sequential(layer))[0].transform == "matmul"
