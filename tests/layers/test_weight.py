import copy
import math

import pytest
import torch
from torch import nn

from pdesolve.layers import SpectralConv, spectral_weight

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
FORMS = pytest.mark.parametrize("factorization", ["tucker", "cp", "tt"])
JOINT = pytest.mark.parametrize("layers", [None, 3])


def dense_tensor(weight):
    """Tensor ([layer,] channels, *modes) that the parameters of a factorised weight stand for."""
    part = {name: torch.view_as_complex(value) for name, value in weight.named_parameters()}
    sizes = list(weight.shape.sizes)
    large, small = "ABCDEF"[: len(sizes)], "abcdef"[: len(sizes)]
    if "core" in part:
        first = "layer" in sizes
        stored = small[:first] + small[first + len(weight.shape.channels) :]
        stored += small[first : first + len(weight.shape.channels)]
        terms = [stored, *(f"{n}{r}" for n, r in zip(large, small, strict=True))]
        parts = [part["core"], *(part[f"{name}_factor"] for name in sizes)]
    elif "scale" in part:
        terms = ["r", *(f"{n}r" for n in large)]
        parts = [part["scale"], *(part[f"{name}_factor"] for name in sizes)]
    else:
        bonds = "uvwxyzt"[: len(sizes) + 1]
        terms = [f"{bonds[j]}{n}{bonds[j + 1]}" for j, n in enumerate(large)]
        parts = [part[f"{name}_core"] for name in sizes]
    return torch.einsum(f"{','.join(terms)}->{large}", *parts)


def dense_parameter(tensor, channels):
    """A tensor (channels, *modes) as the parameter of a dense weight."""
    modes_first = (*range(channels, tensor.ndim), *range(channels))
    return torch.view_as_real(tensor.permute(modes_first).contiguous())


@DTYPES
@FORMS
@JOINT
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("shape", [(16,), (12, 9), (5, 7), (8, 7, 6)])
def test_a_factorised_layer_equals_the_dense_layer_of_its_tensor(
    shape, separable, layers, factorization, dtype, device, generator
):
    modes = (9, 8, 6)[: len(shape)]
    torch.manual_seed(0)
    weight = spectral_weight(
        4, 4, modes, 0.3, factorization=factorization, separable=separable, layers=layers
    ).to(device, dtype)
    tensor = dense_tensor(weight)
    x = torch.randn(2, 4, *shape, generator=generator).to(device, dtype)
    for index in range(layers or 1):
        options = {} if layers is None else {"weight": weight.layer(index)}
        layer = SpectralConv(4, 4, modes, separable=separable, **options).to(device, dtype)
        dense = SpectralConv(4, 4, modes, separable=separable).to(device, dtype)
        layer.bias = dense.bias
        layer.weight = options.get("weight", weight)
        wanted = tensor if layers is None else tensor[index]
        with torch.no_grad():
            dense.weight.dense.copy_(dense_parameter(wanted, 1 if separable else 2))
        tolerance = TOLERANCE[dtype]
        torch.testing.assert_close(layer(x), dense(x), rtol=tolerance, atol=tolerance)


def test_a_joint_dense_weight_is_one_dense_weight_for_each_layer(generator):
    weight = spectral_weight(2, 3, (4, 4), layers=2)
    x = torch.randn(1, 2, 8, 8, generator=generator)
    for index in range(2):
        alone = SpectralConv(2, 3, (4, 4), bias=False)
        alone.weight.dense.data.copy_(weight.dense[index])
        view = SpectralConv(2, 3, (4, 4), bias=False, weight=weight.layer(index))
        assert torch.equal(view(x), alone(x))


class Network(nn.Module):
    def __init__(self, rank=0.3, factorization="tucker"):
        super().__init__()
        self.joint = spectral_weight(2, 2, (4, 4), rank, factorization=factorization, layers=3)
        self.convolutions = nn.ModuleList(
            SpectralConv(2, 2, (4, 4), weight=self.joint.layer(i)) for i in range(3)
        )

    def forward(self, x):
        for convolution in self.convolutions:
            x = convolution(x)
        return x


@FORMS
def test_shared_parameters_are_in_the_state_dict_once(factorization):
    model = Network(factorization=factorization)
    owned = [name for name in model.state_dict() if not name.startswith("joint.")]
    assert owned == [f"convolutions.{i}.bias" for i in range(3)]


def test_views_follow_copies_and_substituted_parameters(generator):
    model = Network()
    x = torch.randn(1, 2, 8, 8, generator=generator)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert copied(x).abs().max() == 0
    assert model(x).abs().max() > 0
    zeros = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    assert torch.func.functional_call(model, zeros, (x,)).abs().max() == 0


@pytest.mark.parametrize(
    ("factorization", "layers", "rank"),
    [("tucker", None, 0.1), ("tucker", None, 0.5), ("tucker", 4, 0.1), ("cp", None, 0.1),
     ("cp", 4, 0.1), ("tt", None, 0.1), ("tt", 4, 0.3), ("tt", None, None)],
)  # fmt: skip
def test_initial_weights_have_the_variance_of_two_over_the_channels(factorization, layers, rank):
    torch.manual_seed(0)
    weights = [
        spectral_weight(16, 32, (12, 8), rank, factorization=factorization, layers=layers)
        for _ in range(12)
    ]
    tensors = [
        torch.view_as_complex(w.dense.detach()) if rank is None else dense_tensor(w).detach()
        for w in weights
    ]
    variance = torch.stack([t.abs().square().mean() for t in tensors]).mean().item()
    # A product of few random factors scatters from draw to draw by a tenth.
    assert variance == pytest.approx(2 / 48, rel=0.02 if rank is None else 0.25)


def test_construction_is_repeated_by_torchs_seed():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(spectral_weight(2, 2, (4, 4), 0.5).core)
    assert torch.equal(*drawn)


def test_tucker_ranks_may_be_given_channels_first():
    weight = spectral_weight(8, 6, (8, 10), (4, 3, 5, 2))
    assert weight.core.shape == (5, 2, 4, 3, 2)
    assert weight.in_factor.shape == (8, 4, 2)
    assert weight.out_factor.shape == (6, 3, 2)
    assert weight.mode_0_factor.shape == (8, 5, 2)
    assert weight.mode_1_factor.shape == (6, 2, 2)


def test_the_layer_mode_of_a_share_has_full_rank_unless_ranks_say_otherwise():
    assert spectral_weight(16, 16, (8, 8), 0.01, layers=4).layer_factor.shape == (4, 4, 2)
    given = spectral_weight(16, 16, (8, 8), (2, 4, 4, 3, 3), layers=4)
    assert given.layer_factor.shape == (4, 2, 2)
    assert spectral_weight(16, 16, (8, 8), 0.01, factorization="tt", layers=4).layer_core.shape == (
        1,
        4,
        4,
        2,
    )


@JOINT
@pytest.mark.parametrize("factorization", ["tucker", "cp"])
def test_parameter_count_of_a_share_is_about_that_share(factorization, layers):
    weight = spectral_weight(32, 32, (16, 16), 0.1, factorization=factorization, layers=layers)
    dense = 2 * (layers or 1) * 32 * 32 * 16 * 9
    assert sum(p.numel() for p in weight.parameters()) == pytest.approx(0.1 * dense, rel=0.1)


@pytest.mark.parametrize("rank", [None, 0.5])
@pytest.mark.parametrize("separable", [False, True])
def test_complex_pairs_name_every_parameter(rank, separable):
    weight = spectral_weight(2, 2, (4, 4), rank, separable=separable)
    assert set(weight.complex_pairs) == {n for n, _ in weight.named_parameters()}
    assert all(getattr(weight, name).shape[-1] == 2 for name in weight.complex_pairs)


def test_weights_of_another_layout_are_refused():
    layer = SpectralConv(2, 2, (4, 4))
    state = layer.state_dict() | {"weight.layout_version": torch.tensor(1)}
    with pytest.raises(RuntimeError, match="layout_version is 1, expected 2"):
        layer.load_state_dict(state)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"layer 3 of a weight with layers=3"):
        spectral_weight(2, 2, (4, 4), layers=3).layer(3)
    with pytest.raises(ValueError, match=r"layer 0 of a weight with layers=None"):
        spectral_weight(2, 2, (4, 4)).layer(0)


def test_a_view_that_does_not_fit_is_refused():
    weight = spectral_weight(2, 2, (4, 4), 0.5, layers=2)
    with pytest.raises(ValueError, match="weight is for"):
        SpectralConv(2, 3, (4, 4), weight=weight.layer(0))
    with pytest.raises(ValueError, match="is given twice"):
        SpectralConv(2, 2, (4, 4), 0.5, weight=weight.layer(0))


def test_the_variance_of_a_tensor_train_counts_its_inner_ranks():
    weight = spectral_weight(4, 4, (6, 6), (3, 5, 2), factorization="tt")
    stds = [p.detach().square().sum(-1).mean().sqrt().item() for p in weight.parameters()]
    # Π s² · 3 · 5 · 2 = 2 / 8, from four cores of the same s.
    expected = (math.sqrt(2 / 8) / math.sqrt(30)) ** (1 / 4)
    assert stds == pytest.approx([expected] * 4, rel=0.5)
