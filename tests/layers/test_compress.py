import pytest
import torch
from torch import nn

import pdesolve
from pdesolve.layers import Normalized, SpectralConv, compress, spectral_weight
from pdesolve.operators import TFNO


def dense_of(layer, tucker):
    """Dense layer with the tensor of a Tucker layer, by what it does to unit vectors."""
    assert layer.weight.dense.shape[-3:-1] == (tucker.in_channels, tucker.out_channels)
    names = ["mode_0_factor", "mode_1_factor", "in_factor", "out_factor"]
    parts = [torch.view_as_complex(getattr(tucker.weight, n)) for n in ["core", *names]]
    with torch.no_grad():
        tensor = torch.einsum("abrs,ka,lb,ir,os->klio", *parts)
        layer.weight.dense.copy_(torch.view_as_real(tensor))
        layer.bias.copy_(tucker.bias)
    return layer


def test_a_dense_weight_of_small_rank_is_found_exactly(generator):
    torch.manual_seed(0)
    tucker = SpectralConv(6, 5, (8, 6), (3, 2, 4, 2)).double()
    dense = dense_of(SpectralConv(6, 5, (8, 6)).double(), tucker)
    found = compress(nn.Sequential(dense), (3, 2, 4, 2))
    assert found.errors == {"0.weight": pytest.approx(0, abs=1e-12)}
    x = torch.randn(2, 6, 12, 9, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(found.model(x), dense(x), rtol=1e-10, atol=1e-10)
    assert found.parameters == tuple(
        sum(p.numel() for p in layer.parameters()) for layer in (dense, tucker)
    )


def test_the_error_is_that_of_the_weight_and_within_the_bound_of_the_decomposition():
    torch.manual_seed(0)
    layer = SpectralConv(6, 5, (8, 6), bias=False).double()
    ranks = (4, 3, 6, 3)
    found = compress(layer, ranks)
    error = found.errors["weight"]
    rebuilt = dense_of(SpectralConv(6, 5, (8, 6)).double(), with_bias(found.model))
    tensor, other = (torch.view_as_complex(w.weight.dense.detach()) for w in (layer, rebuilt))
    size = torch.linalg.vector_norm(tensor)
    assert error == pytest.approx((torch.linalg.vector_norm(tensor - other) / size).item())
    # Sum of the discarded singular values of all unfoldings, De Lathauwer et al. 2000, (24).
    discarded = 0.0
    for axis, rank in zip((2, 3, 0, 1), ranks, strict=True):
        values = torch.linalg.svdvals(tensor.movedim(axis, 0).flatten(1))
        discarded += values[rank:].square().sum().item()
    assert 0 < error <= discarded**0.5 / size.item()


def with_bias(layer):
    layer.bias = nn.Parameter(torch.zeros(layer.out_channels, dtype=torch.float64))
    return layer


@pytest.mark.parametrize("joint", [False, True])
def test_a_compressed_model_is_saved_and_loaded(joint, tmp_path, generator):
    torch.manual_seed(0)
    operator = TFNO(1, 1, (6, 6), 6, 3, joint=joint)
    model = Normalized(operator, *(torch.tensor([v]) for v in (0.0, 1.0, 0.0, 1.0))).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = compress(model, 0.4)
    assert len(found.errors) == 3
    assert all(0 < error < 1 for error in found.errors.values())
    assert found.parameters[1] < 0.6 * found.parameters[0]
    pdesolve.save(found.model, tmp_path / "model")
    x = torch.randn(2, 1, 12, 12, generator=generator)
    with torch.no_grad():
        assert torch.equal(pdesolve.load(tmp_path / "model")(x), found.model(x))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert operator.constructor_arguments["rank"] is None


def test_layers_of_a_joint_weight_share_its_factors(generator):
    torch.manual_seed(0)
    joint = spectral_weight(4, 4, (6, 6), layers=2)
    model = nn.ModuleDict({"joint": joint})
    model["a"] = SpectralConv(4, 4, (6, 6), weight=joint.layer(0))
    model["b"] = SpectralConv(4, 4, (6, 6), weight=joint.layer(1))
    found = compress(model, (2, 4, 4, 6, 4))
    assert set(found.errors) == {"joint[0]", "joint[1]"}
    assert max(found.errors.values()) < 1e-6
    x = torch.randn(1, 4, 8, 8, generator=generator)
    for name in "ab":
        assert found.model[name].weight.weight is found.model["joint"]
        torch.testing.assert_close(found.model[name](x), model[name](x), rtol=1e-4, atol=1e-5)


def test_separable_layers_are_compressed(generator):
    torch.manual_seed(0)
    layer = SpectralConv(4, 4, (6, 6), separable=True)
    found = compress(layer, (4, 6, 4))
    assert found.errors["weight"] < 1e-6
    x = torch.randn(1, 4, 8, 8, generator=generator)
    torch.testing.assert_close(found.model(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_model_without_dense_weights_is_refused():
    with pytest.raises(ValueError, match="nothing to compress"):
        compress(SpectralConv(2, 2, (4, 4), 0.5), 0.1)
