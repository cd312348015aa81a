import math

import pytest
import torch

from pdesolve.ops import fourier

SHAPES = [(8,), (9,), (12, 7), (9, 16), (15, 15), (4, 6, 5)]
PRECISION = [(torch.float64, 1e-12), (torch.float32, 1e-5)]


def periodic_nodes(shape, lengths, device, offset=0.0):
    axes = [
        offset + torch.arange(n, dtype=torch.float64, device=device) * length / n
        for n, length in zip(shape, lengths, strict=True)
    ]
    return torch.meshgrid(*axes, indexing="ij")


def noise(shape, generator, device, dtype=torch.float64):
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def interpolation_matrix(old, new):
    """Values at i/new of the modes |k| <= new/2 of the polynomial through old points."""
    distance = torch.arange(new, dtype=torch.float64)[:, None] / new
    distance = distance - torch.arange(old, dtype=torch.float64) / old
    highest = min((old - 1) // 2, new // 2)
    ks = torch.arange(-highest, highest + 1, dtype=torch.float64)
    matrix = torch.cos(2 * math.pi * ks * distance[..., None]).sum(-1)
    if old % 2 == 0 and new >= old:
        matrix = matrix + torch.cos(math.pi * old * distance)
    return matrix / old


def full_spectrum(u, lengths):
    """Coefficients of the full complex transform and |κ|² of each, from numpy's frequencies."""
    axes = tuple(range(-len(lengths), 0))
    coefficients = torch.fft.fftn(u, dim=axes) / math.prod(u.shape[-len(lengths) :])
    squared = 0
    for axis, length in zip(axes, lengths, strict=True):
        kappa = 2 * math.pi * torch.fft.fftfreq(u.shape[axis], length / u.shape[axis]).double()
        kappa = (kappa * length / (2 * math.pi)).round() * 2 * math.pi / length
        squared = squared + kappa.reshape(-1, *(1,) * (-axis - 1)) ** 2
    return coefficients, squared


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wavenumbers_borrow_dtype_and_halve_the_last_axis(device, dtype):
    kx, ky = fourier.wavenumbers((4, 5), (2.0, 2 * math.pi), dtype=dtype, device=device)
    expected_x = torch.tensor([[0.0], [1.0], [-2.0], [-1.0]], dtype=dtype, device=device) * math.pi
    torch.testing.assert_close(kx, expected_x)
    torch.testing.assert_close(ky, torch.tensor([[0.0, 1.0, 2.0]], dtype=dtype, device=device))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 8])
def test_half_spectrum_weights_add_up_to_the_number_of_modes(n):
    assert fourier.half_spectrum_weights(n, dtype=torch.float64).sum() == n


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_derivative_of_a_wave_is_exact(device, dtype, tolerance, shape, order):
    lengths = (3.0, 2 * math.pi, 0.5)[: len(shape)]
    nodes = periodic_nodes(shape, lengths, device)
    wave = (1, -2, 1)[: len(shape)]
    kappas = [2 * math.pi * k / length for k, length in zip(wave, lengths, strict=True)]
    phase = sum(kappa * x for kappa, x in zip(kappas, nodes, strict=True))
    for axis, kappa in enumerate(kappas):
        orders = [order if i == axis else 0 for i in range(len(shape))]
        expected = kappa**order * torch.cos(phase + order * math.pi / 2)
        result = fourier.derivative(torch.cos(phase).to(dtype), orders, lengths)
        assert result.dtype == dtype
        # Round-off of the highest mode is amplified most: the scale is that of its derivative.
        scale = (math.pi * shape[axis] / lengths[axis]) ** order
        assert (result.double() - expected).abs().max() <= tolerance * scale


def test_mixed_derivative_of_a_product_is_the_product_of_derivatives(device):
    x, y = periodic_nodes((9, 12), (2.0, 3.0), device)
    kx, ky = 2 * math.pi / 2.0, 4 * math.pi / 3.0
    u = torch.sin(kx * x) * torch.cos(ky * y)
    expected = -(kx**2) * torch.sin(kx * x) * -ky * torch.sin(ky * y)
    torch.testing.assert_close(fourier.derivative(u, (2, 1), (2.0, 3.0)), expected)


def test_derivative_is_the_same_on_points_shifted_within_the_cell(device):
    (x,) = periodic_nodes((11,), (1.0,), device, offset=0.03)
    result = fourier.derivative(torch.sin(2 * math.pi * x), (1,), (1.0,))
    torch.testing.assert_close(result, 2 * math.pi * torch.cos(2 * math.pi * x))


def test_nyquist_mode_has_no_first_and_a_full_second_derivative(device):
    checkerboard = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64, device=device)
    assert fourier.derivative(checkerboard, (1,), (2.0,)).abs().max() == 0
    expected = -((math.pi * 8 / 2.0) ** 2) * checkerboard
    torch.testing.assert_close(fourier.derivative(checkerboard, (2,), (2.0,)), expected)


def test_order_zero_returns_the_field_itself():
    u = torch.randn(3, 4, 5)
    assert fourier.derivative(u, (0, 0), (1.0, 1.0)) is u


@pytest.mark.parametrize("shape", SHAPES)
def test_laplacian_is_the_dense_sum_over_modes(shape, generator):
    lengths = (1.0, 2.0, 3.0)[: len(shape)]
    u = noise((2, *shape), generator, "cpu")
    coefficients, squared = full_spectrum(u, lengths)
    axes = tuple(range(-len(shape), 0))
    expected = torch.fft.ifftn(-squared * coefficients * math.prod(shape), dim=axes).real
    torch.testing.assert_close(fourier.laplacian(u, lengths), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_laplacian_undoes_the_laplacian_but_for_the_mean(shape, generator, device):
    lengths = (1.0, 2.0, 3.0)[: len(shape)]
    u = noise((2, *shape), generator, device)
    expected = u - u.mean(tuple(range(1, u.ndim)), keepdim=True)
    result = fourier.inverse_laplacian(fourier.laplacian(u, lengths), lengths)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        fourier.laplacian(fourier.inverse_laplacian(u, lengths), lengths),
        expected,
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize(("modes", "highest"), [(1, 0), (2, 0), (5, 2), (6, 2), (7, 3), (8, 3)])
@pytest.mark.parametrize("n", [9, 10, 16, 33])
def test_truncate_keeps_exactly_the_modes_below_half(device, n, modes, highest):
    (x,) = periodic_nodes((n,), (1.0,), device)
    for k in range((n - 1) // 2 + 1):
        u = torch.cos(2 * math.pi * k * x + 0.3)
        expected = u if k <= highest else torch.zeros_like(u)
        torch.testing.assert_close(fourier.truncate(u, (modes,)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_truncate_with_more_modes_than_points_changes_nothing(shape, generator, device):
    u = noise((2, *shape), generator, device)
    result = fourier.truncate(u, [n + 1 for n in shape])
    torch.testing.assert_close(result, u, rtol=0, atol=1e-13)


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 9, 12, 15, 16, 31, 32])
@pytest.mark.parametrize("old", [1, 2, 7, 8, 9, 16, 17])
def test_resample_evaluates_the_trigonometric_polynomial(device, generator, old, new):
    u = noise((3, old), generator, device)
    expected = u @ interpolation_matrix(old, new).T.to(device)
    torch.testing.assert_close(fourier.resample(u, (new,)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new"),
    [((8, 9), (12, 6)), ((9, 8), (8, 9)), ((16, 6), (4, 16)), ((4, 6, 5), (6, 3, 8))],
)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
def test_resample_grows_one_axis_and_shrinks_another(generator, device, old, new, dtype, tolerance):
    u = noise((2, 3, *old), generator, device, dtype)
    expected = u.double()
    for axis, (n, m) in enumerate(zip(old, new, strict=True)):
        matrix = interpolation_matrix(n, m).to(device)
        expected = torch.tensordot(matrix, expected.movedim(axis + 2, 0), 1).movedim(0, axis + 2)
    result = fourier.resample(u, new)
    assert result.shape == (2, 3, *new)
    assert result.dtype == dtype
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=tolerance)


def test_resample_there_and_back_returns_the_field(generator, device):
    u = noise((2, 8, 9), generator, device)
    for finer in [(9, 10), (16, 18), (24, 27), (13, 9)]:
        back = fourier.resample(fourier.resample(u, finer), (8, 9))
        torch.testing.assert_close(back, u, rtol=0, atol=1e-13)


def test_resample_splits_the_nyquist_mode_evenly(device):
    checkerboard = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64, device=device)
    (x,) = periodic_nodes((12,), (1.0,), device)
    expected = torch.cos(2 * math.pi * 4 * x)
    torch.testing.assert_close(fourier.resample(checkerboard, (12,)), expected)


def test_resample_folds_both_modes_at_the_new_nyquist(device):
    (x,) = periodic_nodes((12,), (1.0,), device)
    folded = torch.cos(2 * math.pi * 4 * x + 0.5)
    expected = math.cos(0.5) * torch.tensor([1.0, -1.0] * 4, dtype=torch.float64, device=device)
    torch.testing.assert_close(fourier.resample(folded, (8,)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_energy_spectrum_sums_to_half_the_mean_square(shape, generator, device):
    lengths = (1.0, 2.5, 3.0)[: len(shape)]
    u = noise((2, 3, *shape), generator, device)
    _, energies = fourier.energy_spectrum(u, lengths)
    expected = (u**2).mean(tuple(range(2, u.ndim))) / 2
    torch.testing.assert_close(energies.sum(-1), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_energy_spectrum_equals_bins_of_the_full_transform(shape, generator):
    lengths = (2.0, 1.0, 4.0)[: len(shape)]
    u = noise(shape, generator, "cpu")
    coefficients, squared = full_spectrum(u, lengths)
    width = 2 * math.pi / max(lengths)
    kappas, energies = fourier.energy_spectrum(u, lengths)
    for kappa, energy in zip(kappas, energies, strict=True):
        inside = (squared.sqrt() - kappa).abs() < width / 2 * (1 - 1e-9)
        expected = 0.5 * (coefficients.abs() ** 2)[inside].sum()
        torch.testing.assert_close(energy, expected, rtol=1e-12, atol=1e-15)


def test_energy_of_a_wave_lies_at_its_wavenumber(device):
    x, y = periodic_nodes((16, 15), (2.0, 2.0), device)
    kappas, energies = fourier.energy_spectrum(
        3.0 * torch.cos(math.pi * (3 * x + 4 * y)), (2.0, 2.0)
    )
    expected = torch.zeros_like(energies)
    expected[5] = 9 / 4  # |k| = 5, mean square 9/2
    torch.testing.assert_close(energies, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(kappas[5].item(), 5 * math.pi, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda u: fourier.derivative(u, (1, 2), (1.0, 2.0)),
        lambda u: fourier.laplacian(u, (1.0, 2.0)),
        lambda u: fourier.inverse_laplacian(u, (1.0, 2.0)),
        lambda u: fourier.truncate(u, (3, 3)),
        lambda u: fourier.resample(u, (6, 3)),
        lambda u: fourier.energy_spectrum(u, (1.0, 2.0))[1],
    ],
    ids=["derivative", "laplacian", "inverse_laplacian", "truncate", "resample", "energy"],
)
@pytest.mark.parametrize("shape", [(4, 5), (3, 4)])
def test_gradients_are_those_of_finite_differences(function, shape, generator):
    u = noise((2, *shape), generator, "cpu").requires_grad_()
    assert torch.autograd.gradcheck(function, (u,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: fourier.laplacian(u, (1.0, 0.0)), "lengths is .* expected numbers > 0"),
        (lambda u: fourier.laplacian(u, (1.0,) * 4), "u has 3 axes, expected at least 4"),
        (lambda u: fourier.derivative(u, (1, 0), (1.0,)), "lengths has 1 entries, expected 2"),
        (lambda u: fourier.derivative(u, (-1,), (1.0,)), "orders is .* expected numbers >= 0"),
        (lambda u: fourier.resample(u, (4, 0)), "shape is .* expected >= 1 point"),
        (lambda u: fourier.resample(u, (4,) * 4), "u has 3 axes, expected at least 4"),
        (lambda u: fourier.truncate(u, (0,)), "modes is .* expected >= 1"),
    ],
)
def test_impossible_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 4, 5))


@pytest.mark.compile
def test_resample_and_derivative_compile_into_one_graph():
    def both(u):
        return fourier.derivative(fourier.resample(u, (6, 9)), (1, 1), (1.0, 1.0))

    u = torch.randn(2, 8, 8, dtype=torch.float64)
    compiled = torch.compile(both, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(u), both(u))
