import math

import pytest
import torch
import torch.nn.functional as F

from pdesolve.layers import CosineWindowAttention


def attention(width=12, heads=3, window=4, shift=0, seed=0):
    torch.manual_seed(seed)
    layer = CosineWindowAttention(width, heads, window, shift).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def plain(layer, x, allowed):
    """The formula over all tokens of a plane at once, for pairs (i, j) that `allowed` names."""
    b, n, m, c = x.shape
    tokens = x.reshape(b, n * m, c)
    rows, columns = (
        k.flatten() for k in torch.meshgrid(torch.arange(n), torch.arange(m), indexing="ij")
    )
    y = torch.zeros_like(tokens)
    q, k, v = layer.query(tokens), layer.key(tokens), layer.value(tokens)
    size = c // layer.heads
    sides = [min(layer.window, side) for side in (n, m)]
    for i in range(n * m):
        seen = [j for j in range(n * m) if allowed((rows[i], columns[i]), (rows[j], columns[j]))]
        z = torch.stack(
            [
                8 * (axis[i] - axis[seen]).double() / max(w - 1, 1)
                for axis, w in zip((rows, columns), sides, strict=True)
            ],
            -1,
        )
        bias = layer.continuous_position_bias_mlp(z.sign() * (1 + z.abs()).log2() / math.log2(8))
        for head in range(layer.heads):
            part = slice(head * size, (head + 1) * size)
            scale = min(float(layer.logit_scale[head].detach().exp()), 100.0)
            cosine = F.cosine_similarity(q[:, i, None, part], k[:, seen, part], dim=-1)
            weights = torch.softmax(scale * cosine + 16 * torch.sigmoid(bias[:, head]), -1)
            y[:, i, part] = (weights[..., None] * v[:, seen, part]).sum(1)
    return y.reshape(b, n, m, c)


def same_window(window):
    return lambda p, q: all(int(a) // window == int(b) // window for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("plane", [(8, 4), (3, 4), (1, 4)])
def test_windows_attend_by_the_formula(plane, generator):
    layer, x = attention(), torch.randn(2, *plane, 12, generator=generator, dtype=torch.float64)
    expected = plain(layer, x, same_window(4))
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("plane", [(12, 8)])
def test_shifted_windows_join_neighbours_and_never_opposite_edges(plane, generator):
    layer = attention(shift=2)
    x = torch.randn(2, *plane, 12, generator=generator, dtype=torch.float64)

    def same_shifted_window(p, q):
        return all((int(a) + 2) // 4 == (int(b) + 2) // 4 for a, b in zip(p, q, strict=True))

    expected = plain(layer, x, same_shifted_window)
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


def test_an_axis_of_one_window_is_not_shifted(generator):
    x = torch.randn(1, 4, 4, 12, generator=generator, dtype=torch.float64)
    assert torch.equal(attention(shift=2)(x), attention(shift=0)(x))


def test_zero_tokens_that_fill_a_window_take_part(generator):
    layer, x = attention(), torch.randn(1, 4, 6, 12, generator=generator, dtype=torch.float64)
    filled = F.pad(x, (0, 0, 0, 2))
    torch.testing.assert_close(layer(x), layer(filled)[:, :, :6], rtol=1e-12, atol=1e-12)


def test_the_logit_scale_stops_at_100(generator):
    layer, x = attention(), torch.randn(1, 4, 4, 12, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        layer.logit_scale.fill_(math.log(100.0))
        at_the_limit = layer(x)
        layer.logit_scale.fill_(7.0)
    torch.testing.assert_close(layer(x), at_the_limit, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def change(layer, how):
    if how == "in place":
        layer.continuous_position_bias_mlp[0].weight.mul_(2)
    elif how == "loaded":
        layer.load_state_dict(attention(seed=1).state_dict())
    elif how == "replaced":
        layer.load_state_dict(attention(seed=1).state_dict(), assign=True)
    else:
        layer.float()


@pytest.mark.parametrize("how", ["in place", "loaded", "replaced", "cast"])
def test_the_kept_bias_follows_its_parameters(how, generator):
    layer = attention().eval()
    x = torch.randn(1, 4, 8, 12, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        first = layer(x)
        assert torch.equal(layer(x), first)
        change(layer, how)
        x = x.to(layer.query.weight.dtype)
        kept = layer(x)
    torch.testing.assert_close(kept, layer(x).detach(), rtol=0, atol=1e-6)
    assert not torch.equal(kept.double(), first)


def test_the_bias_is_computed_once_at_evaluation(generator):
    layer, calls = attention().eval(), []
    layer.continuous_position_bias_mlp.register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(1, 8, 8, 12, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        for _ in range(3):
            layer(x)
    assert len(calls) == 1
    layer.train()(x)
    assert len(calls) == 2


def test_gradients_flow_after_an_evaluation(generator):
    layer, x = (
        attention().eval(),
        torch.randn(1, 4, 4, 12, generator=generator, dtype=torch.float64),
    )
    with torch.no_grad():
        layer(x)
    layer(x).sum().backward()
    assert layer.continuous_position_bias_mlp[0].weight.grad.abs().max() > 0


def test_a_width_that_is_no_multiple_of_heads_is_refused():
    with pytest.raises(ValueError, match=r"width 10 is not a multiple of heads 3: choose .* 12"):
        CosineWindowAttention(10, 3, 4)
