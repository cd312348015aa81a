import itertools
import math

import pytest
import torch

from pdesolve.layers.spectral_tokens import NeuralSpectralBlock


def block(*arguments, **options):
    torch.manual_seed(0)
    made = NeuralSpectralBlock(*arguments, **options).double()
    # Tokens of the size of the field, so that the softmax is far from uniform.
    made.tokens.data = torch.randn_like(made.tokens)
    return made


def of_one_patch(model, points):
    """The docstring's three lines for one patch, points (l, c), with loops over all indices."""
    heads, tokens, e = model.tokens.shape
    k, v, q = (points @ model.projection.weight.T + model.projection.bias).chunk(3, 1)
    y = points.clone()
    for h in range(heads):
        part = slice(h * e, (h + 1) * e)
        solved = []
        for t in range(tokens):
            weights = (k[:, part] @ model.tokens[h, t] * model.scale).softmax(0)
            x = model.tokens[h, t] + weights @ v[:, part]
            w, first, n = model.series[part], model.first_sine, model.basis
            series = torch.zeros_like(x)
            for m in range(n):
                if m >= first:
                    series = series + w[:, m - first] * torch.sin(math.pi * m * x / n)
                series = series + w[:, n - first + m] * torch.cos(math.pi * m * x / n)
            solved.append(x + series)
        solved = torch.stack(solved)
        for s in range(len(points)):
            weights = (solved @ q[s, part] * model.scale).softmax(0)
            y[s, part] = y[s, part] + weights @ solved
    return y


@pytest.mark.parametrize("options", [{}, dict(drop_dead_sine=True, spread_tokens=True)])
@pytest.mark.parametrize(
    ("shape", "patch"), [((6,), (3,)), ((6, 4), (3, 2)), ((2, 6, 3), (1, 3, 3)), ((5, 5), (1, 5))]
)
def test_each_patch_is_encoded_solved_and_decoded(shape, patch, options, device):
    model = block(4, tokens=3, basis=5, heads=2, **options).to(device)
    x = torch.randn(2, 4, *shape, dtype=torch.float64, device=device)
    y = model(x, patch)
    counts = [range(n // p) for n, p in zip(shape, patch, strict=True)]
    for sample, *where in itertools.product(range(2), *counts):
        at = tuple(slice(i * p, (i + 1) * p) for i, p in zip(where, patch, strict=True))
        points = x[(sample, slice(None), *at)].flatten(1).T
        found = y[(sample, slice(None), *at)].flatten(1).T
        torch.testing.assert_close(found, of_one_patch(model, points), rtol=1e-12, atol=1e-12)


def test_the_weight_of_the_first_sine_never_learns():
    model = block(8, basis=3)
    model(torch.randn(1, 8, 4, dtype=torch.float64), (2,)).square().sum().backward()
    assert model.series.shape == (8, 6)
    assert (model.series.grad[:, 0] == 0).all()
    assert (model.series.grad[:, 1:].abs().amax(0) > 0).all()
    assert NeuralSpectralBlock(8, basis=3, drop_dead_sine=True).series.shape == (8, 5)


@pytest.mark.parametrize(
    ("width", "tokens", "basis"),
    [(64, 4, 12), (128, 4, 12), (256, 4, 12), (512, 4, 12), (16, 5, 6)],
)
def test_parameter_count_is_the_published_one(width, tokens, basis):
    model = NeuralSpectralBlock(width, tokens=tokens, basis=basis)
    count = sum(p.numel() for p in model.parameters())
    assert count == 3 * width**2 + 3 * width + tokens * width + 2 * basis * width
    published = {64: 14_272, 128: 53_120, 256: 204_544, 512: 802_304}
    assert count == published.get(width, count)


def test_published_tokens_start_alike_and_spread_ones_apart():
    torch.manual_seed(0)
    alike = NeuralSpectralBlock(64).tokens
    assert alike.min() >= 0 and alike.max() <= 1 / 64
    spread = NeuralSpectralBlock(64, spread_tokens=True).tokens
    assert abs(spread.std() - 0.02) < 0.004 and spread.min() < 0


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"width 36 is not a multiple of heads 8: choose .* 32"):
        NeuralSpectralBlock(36)
