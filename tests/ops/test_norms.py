import inspect
import itertools
import math

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops import norms

SHAPES = [(8,), (9,), (7, 12), (12, 7), (4, 5, 6)]
LENGTHS = (2.0, 1.0, 3.0)
# Users run without the shape hook, which would speak before the errors that they see.
unchecked_relative_lp = inspect.unwrap(norms.relative_lp)
PRECISION = [(torch.float64, 1e-12), (torch.float32, 1e-5)]


def noise(shape, generator, device, dtype=torch.float64):
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def sobolev_over_all_modes(u, order, lengths, *, homogeneous=False, shift=1.0):
    """The definition, summed over the full complex spectrum, mode by mode."""
    shape = u.shape[2:]
    coefficients = torch.fft.fftn(u, dim=tuple(range(2, u.ndim))) / math.prod(shape)
    total = torch.zeros(len(u), dtype=torch.float64, device=u.device)
    for index in itertools.product(*map(range, shape)):
        ks = [i if i <= n // 2 else i - n for i, n in zip(index, shape, strict=True)]
        squared = sum(
            (2 * math.pi * k / length) ** 2 for k, length in zip(ks, lengths, strict=True)
        )
        if homogeneous and squared == 0:
            continue
        weight = (squared if homogeneous else shift + squared) ** order
        total += weight * (coefficients[(..., *index)].abs() ** 2).sum(1)
    return total.sqrt()


@pytest.mark.parametrize("order", [-2, -1.5, 0, 0.5, 1, 2.25])
@pytest.mark.parametrize(("homogeneous", "shift"), [(False, 1.0), (False, 0.3), (True, 1.0)])
@pytest.mark.parametrize("shape", SHAPES)
def test_sobolev_norm_is_the_sum_over_all_modes(
    device, generator, shape, order, homogeneous, shift
):
    u = noise((3, 2, *shape), generator, device)
    options = {"homogeneous": homogeneous, "shift": shift}
    expected = sobolev_over_all_modes(u, order, LENGTHS[: len(shape)], **options)
    result = norms.sobolev(u, order, LENGTHS[: len(shape)], **options)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("order", [-1, 0, 0.5, 1, 3])
def test_sobolev_norm_of_a_single_wave_is_exact(device, order, dtype, tolerance):
    kappa = 2 * math.pi * 3 / 2.0
    x = torch.arange(17, dtype=torch.float64, device=device) * 2.0 / 17
    u = torch.cos(kappa * x + 0.7).to(dtype).reshape(1, 1, 17)
    expected = math.sqrt(0.5 * (1 + kappa**2) ** order)
    result = norms.sobolev(u, order, (2.0,))
    assert result.dtype == dtype
    assert result.item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_sobolev_norm_of_order_zero_is_the_root_mean_square(device, generator, shape):
    u = noise((3, 2, *shape), generator, device)
    expected = (u**2).flatten(2).mean(2).sum(1).sqrt()
    torch.testing.assert_close(norms.sobolev(u, 0, LENGTHS[: len(shape)]), expected)
    torch.testing.assert_close(norms.root_mean_square(u), expected)


@pytest.mark.parametrize("order", [-1, 0, 1])
def test_homogeneous_norm_ignores_the_mean(device, generator, order):
    u = noise((2, 1, 9, 8), generator, device)
    result = norms.sobolev(u + 5, order, (1.0, 1.0), homogeneous=True)
    expected = norms.sobolev(u, order, (1.0, 1.0), homogeneous=True)
    torch.testing.assert_close(result, expected)


def test_sobolev_norm_of_a_checkerboard_counts_the_nyquist_mode_once(device):
    u = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64, device=device).reshape(1, 1, 8)
    expected = math.sqrt(1 + (2 * math.pi * 4) ** 2)
    assert norms.sobolev(u, 1, (1.0,)).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("order", [0.5, 1, 2])
def test_pairing_is_bounded_by_dual_norms(generator, order):
    u, v = noise((5, 1, 9, 8), generator, "cpu"), noise((5, 1, 9, 8), generator, "cpu")
    pairing = (u * v).flatten(1).mean(1).abs()
    bound = norms.sobolev(u, order, (1.0, 2.0)) * norms.sobolev(v, -order, (1.0, 2.0))
    assert (pairing <= bound).all()


def test_sobolev_norm_is_the_same_on_a_finer_grid(device):
    values = []
    for n in (8, 9, 32):
        x = torch.arange(n, dtype=torch.float64, device=device) / n
        u = torch.sin(2 * math.pi * x) + 0.2 * torch.cos(6 * math.pi * x) + 1
        values.append(norms.sobolev(u.reshape(1, 1, n), 1.5, (1.0,)).item())
    assert values == pytest.approx([values[0]] * 3, rel=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION)
@pytest.mark.parametrize("p", [1, 2, 3.5, math.inf])
@pytest.mark.parametrize("shape", SHAPES)
def test_relative_lp_is_the_ratio_of_norms(device, generator, shape, p, dtype, tolerance):
    prediction = noise((3, 2, *shape), generator, device, dtype)
    target = noise((3, 2, *shape), generator, device, dtype)
    numerator, denominator = (
        (v.double().abs().flatten(1) ** p).sum(1) ** (1 / p)
        if p < math.inf
        else v.double().abs().flatten(1).amax(1)
        for v in (prediction - target, target)
    )
    result = norms.relative_lp(prediction, target, p=p)
    torch.testing.assert_close(result.double(), numerator / denominator, rtol=tolerance, atol=0)


@pytest.mark.parametrize("mask_channels", [1, 2])
@pytest.mark.parametrize("mask_dtype", [torch.float64, torch.bool])
def test_masked_error_counts_the_domain_only(device, generator, mask_channels, mask_dtype):
    prediction = noise((3, 2, 5, 6), generator, device)
    target = noise((3, 2, 5, 6), generator, device)
    inside = noise((3, mask_channels, 5, 6), generator, device) > 0
    expected = []
    for sample in range(3):
        kept = inside[sample].expand(2, 5, 6)
        error = (prediction - target)[sample][kept]
        expected.append(error.norm() / target[sample][kept].norm())
    result = norms.relative_lp(prediction, target, mask=inside.to(mask_dtype))
    torch.testing.assert_close(result, torch.stack(expected))


def test_values_outside_the_domain_reach_neither_error_nor_gradient(device, generator):
    prediction = noise((1, 1, 4, 4), generator, device).requires_grad_()
    target = noise((1, 1, 4, 4), generator, device)
    inside = torch.ones_like(target)
    inside[..., 0] = 0
    target = torch.where(inside > 0, target, math.nan)
    norms.relative_lp(prediction, target, mask=inside).sum().backward()
    assert prediction.grad is not None
    assert (prediction.grad[..., 0] == 0).all()
    assert prediction.grad[..., 1:].isfinite().all()
    assert (prediction.grad[..., 1:] != 0).all()


def test_sample_without_domain_has_error_zero(generator):
    prediction, target = noise((2, 1, 5), generator, "cpu"), noise((2, 1, 5), generator, "cpu")
    mask = torch.tensor([[[1.0]], [[0.0]]]).expand(2, 1, 5)
    result = norms.relative_lp(prediction, target, mask=mask)
    assert result[0] > 0
    assert result[1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_zero_target_counts_by_its_absolute_error(device, dtype, p):
    target = torch.zeros(2, 1, 6, dtype=dtype, device=device)
    prediction = target + 0.25
    result = norms.relative_lp(prediction, target, p=p)
    torch.testing.assert_close(result, torch.full_like(result, 0.25))


def test_zero_target_on_a_domain_counts_by_the_mean_over_the_domain(device):
    target = torch.zeros(1, 2, 6, dtype=torch.float64, device=device)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], device=device).reshape(1, 1, 6)
    result = norms.relative_lp(target + 0.25, target, mask=mask)
    assert result.item() == pytest.approx(0.25, rel=1e-14)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_relative_error_does_not_depend_on_units(generator, scale):
    prediction = noise((2, 1, 7), generator, "cpu", torch.float32)
    target = noise((2, 1, 7), generator, "cpu", torch.float32)
    result = norms.relative_lp(prediction * scale, target * scale)
    torch.testing.assert_close(result, norms.relative_lp(prediction, target))


NORMS = {
    "l1": lambda u: norms.relative_lp(u, torch.zeros_like(u), p=1),
    "l2": lambda u: norms.relative_lp(u, torch.zeros_like(u)),
    "max": lambda u: norms.relative_lp(u, torch.zeros_like(u), p=math.inf),
    "root mean square": norms.root_mean_square,
    "sobolev": lambda u: norms.sobolev(u, 1.5, (1.0, 2.0)),
    "negative": lambda u: norms.sobolev(u, -1, (1.0, 2.0), homogeneous=True),
    "h1": lambda u: norms.h1_difference(u, Grid((4, 5), (1.0, 2.0), False)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norm_and_gradient_of_zero_are_zero(device, name):
    u = torch.zeros(2, 1, 4, 5, dtype=torch.float64, device=device, requires_grad=True)
    value = NORMS[name](u)
    value.sum().backward()
    assert u.grad is not None
    assert (value == 0).all()
    assert (u.grad == 0).all()


@pytest.mark.parametrize("name", NORMS)
def test_gradients_are_those_of_finite_differences(generator, name):
    u = noise((2, 1, 4, 5), generator, "cpu").requires_grad_()
    assert torch.autograd.gradcheck(NORMS[name], (u,))


@pytest.mark.parametrize(("placement", "offset"), [("node", 0.0), ("cell", 0.0), ("node", 0.01)])
def test_h1_of_a_linear_field_is_its_slope(device, placement, offset):
    grid = Grid((6, 9), (2.0, 3.0), False, placement, offset)
    x, y = grid.coordinates(device=device)
    u = (2 * x + 3 * y)[None, None]
    result = norms.h1_difference(u, grid, homogeneous=True)
    assert result.item() == pytest.approx(math.sqrt(13), rel=1e-12)
    expected = math.sqrt(13 + (u**2).mean().item())
    assert norms.h1_difference(u, grid).item() == pytest.approx(expected, rel=1e-12)


def test_h1_difference_converges_to_the_integral(device):
    # mean of sin² sin² is 1/4, of its squared gradient (1 + 4) π² / 4
    exact = math.sqrt(0.25 + 5 * math.pi**2 / 4)
    errors = []
    for n in (32, 64, 128):
        grid = Grid((n, n + 1), (1.0, 1.0), False, "cell")
        x, y = grid.coordinates(device=device)
        u = torch.sin(math.pi * x) * torch.sin(2 * math.pi * y)
        errors.append(abs(norms.h1_difference(u[None, None], grid).item() - exact))
    assert math.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.2)


def test_h1_difference_joins_channels_in_squares(device, generator):
    grid = Grid((5, 6), (1.0, 1.0), False)
    u = noise((2, 3, 5, 6), generator, device)
    singly = torch.stack([norms.h1_difference(u[:, c : c + 1], grid) for c in range(3)])
    torch.testing.assert_close(norms.h1_difference(u, grid), (singly**2).sum(0).sqrt())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: unchecked_relative_lp(u[:, :1], u), "prediction has shape .* broadcasting"),
        (lambda u: norms.relative_lp(u, u, p=0.5), "p is 0.5, expected >= 1"),
        (lambda u: unchecked_relative_lp(u, u, mask=u[:1]), "mask has shape .* expand it"),
        (lambda u: norms.sobolev(u, 1, (1.0,)), "lengths has 1 entries, expected 2"),
        (lambda u: norms.sobolev(u, 1, (1.0, 1.0), shift=0.0), "shift is 0.0, expected > 0"),
    ],
)
def test_impossible_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(3, 2, 4, 5))
