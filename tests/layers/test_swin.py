import pytest
import torch

from pdesolve.layers.swin import ConditionalNorm, Expansion, Merging, SwinStage


def test_the_norm_standardises_channels_and_applies_scale_and_shift_of_the_condition(generator):
    norm = ConditionalNorm(7, 2).double()
    v = 3 + 5 * torch.randn(2, 4, 3, 7, generator=generator, dtype=torch.float64)
    t = torch.rand(2, 2, generator=generator, dtype=torch.float64)
    mean = v.mean(-1, keepdim=True)
    spread = (v.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    scale, shift = norm.weight(t)[:, None, None], norm.bias(t)[:, None, None]
    expected = scale * (v - mean) / spread + shift
    torch.testing.assert_close(norm(v, t), expected, rtol=1e-12, atol=1e-12)


def test_a_large_mean_does_not_drown_the_variance(generator):
    norm = ConditionalNorm(64, 0)
    v = torch.randn(1, 2, 2, 64, generator=generator)
    torch.testing.assert_close(norm(v + 3000, None), norm(v, None), rtol=0, atol=2e-3)


def test_merging_orders_neighbours_row_first_and_fills_odd_planes_with_zeros():
    merge, seen = Merging(1, 0).double(), []
    merge.reduction.register_forward_hook(lambda module, given, y: seen.append(given[0]))
    merge(torch.arange(1.0, 7.0, dtype=torch.float64).reshape(1, 3, 2, 1), None)
    (merged,) = seen
    assert merged[0, 0, 0].tolist() == [1, 3, 2, 4]
    assert merged[0, 1, 0].tolist() == [5, 0, 6, 0]


@pytest.mark.parametrize("plane", [(6, 8), (5, 7), (1, 2)])
def test_expansion_undoes_the_shape_of_merging(plane, generator):
    v = torch.randn(2, *plane, 8, generator=generator)
    merged = Merging(8, 1)(v, torch.rand(2, 1))
    assert merged.shape == (2, -(-plane[0] // 2), -(-plane[1] // 2), 16)
    assert Expansion(16, 1)(merged, torch.rand(2, 1), plane).shape == v.shape


@pytest.mark.parametrize(
    ("decoder", "blocks", "shifts"),
    [(False, 4, [0, 8, 0, 8]), (True, 4, [8, 0, 8, 0]), (True, 3, [0, 8, 0])],
)
def test_the_decoder_counts_shifts_from_its_end(decoder, blocks, shifts):
    stage = SwinStage(
        8, 2, [0.0] * blocks, window=16, mlp_ratio=2.0, condition_dim=1, decoder=decoder, last=True
    )
    assert [block.attention.self.shift for block in stage.blocks] == shifts


def test_branches_are_left_out_in_training_only(generator):
    torch.manual_seed(0)
    stage = SwinStage(
        8, 2, [1.0 - 1e-9], window=2, mlp_ratio=2.0, condition_dim=0, decoder=True, last=True
    )
    v = torch.randn(2, 4, 4, 8, generator=generator)
    assert torch.equal(stage.blocks[0](v, None), v)
    assert not torch.equal(stage.eval().blocks[0](v, None), v)
