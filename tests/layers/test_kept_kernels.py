import copy

import pytest
import torch

from pdesolve.layers import SpectralConv, spectral_weight
from pdesolve.layers.weight import TuckerWeight

FORMS = pytest.mark.parametrize("form", ["dense", "tucker", "cp", "tt"])


def built(form):
    torch.manual_seed(0)
    options = {} if form == "dense" else {"rank": 0.5, "factorization": form}
    return SpectralConv(3, 3, (6, 6), **options).eval()


def fresh(layer, x):
    """Output without anything kept."""
    return copy.deepcopy(layer)(x).detach()


@pytest.fixture
def x(device, generator):
    return torch.randn(2, 3, 9, 8, generator=generator).to(device)


@pytest.fixture
def builds(monkeypatch):
    """How often a Tucker kernel was built."""
    counted, build = [], torch.nn.Module.__dict__.get("none")

    build = TuckerWeight._kernel
    monkeypatch.setattr(TuckerWeight, "_kernel", lambda *given: counted.append(1) or build(*given))
    return counted


def test_evaluation_builds_a_kernel_once(x, device, builds):
    layer = built("tucker").to(device)
    with torch.no_grad():
        first = layer(x)
        for _ in range(3):
            assert torch.equal(layer(x), first)
        assert len(builds) == 1
        layer(x[..., :4])
        assert len(builds) == 2


def test_gradients_and_training_build_it_each_time(x, device, builds):
    layer = built("tucker").to(device)
    layer(x).sum().backward()
    assert layer.weight.core.grad is not None
    layer.train()
    with torch.no_grad():
        layer(x), layer(x)
    assert len(builds) == 3


CHANGES = {
    "an optimiser's step": lambda layer: torch.optim.AdamW(layer.parameters(), lr=0.1).step(),
    "a fused step": lambda layer: torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True).step(),
    "a foreach step": lambda layer: torch.optim.SGD(
        layer.parameters(), lr=0.1, foreach=True
    ).step(),
    "load_state_dict": lambda layer: layer.load_state_dict(doubled(layer)),
    "load_state_dict with assign": lambda layer: layer.load_state_dict(doubled(layer), assign=True),
    "a copy in place": lambda layer: [p.mul_(2) for p in layer.parameters()],
    "data in training": lambda layer: [layer.train(), doubled_data(layer), layer.eval()],
    "float64 and back": lambda layer: [layer.double(), doubled_data(layer), layer.float()],
}


def doubled(layer):
    return {k: v.clone() if k.endswith("version") else 2 * v for k, v in layer.state_dict().items()}


def doubled_data(layer):
    for parameter in layer.parameters():
        parameter.data.mul_(2)


@FORMS
@pytest.mark.parametrize("change", CHANGES)
def test_nothing_kept_outlives_a_change_of_parameters(change, form, x, device):
    layer = built(form).to(device)
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.no_grad():
        before = layer(x)
        CHANGES[change](layer)
        after = layer(x)
        assert not torch.allclose(before, after)
        assert torch.equal(after, fresh(layer, x))


@FORMS
def test_substituted_parameters_and_copies_are_used(form, x, device):
    layer = built(form).to(device)
    zeros = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    with torch.no_grad():
        before = layer(x)
        assert torch.func.functional_call(layer, zeros, (x,)).abs().max() == 0
        other = copy.deepcopy(layer)
        doubled_data(other)
        assert not torch.allclose(other(x), before)
        assert torch.equal(layer(x), before)


def test_a_change_within_inference_mode_is_seen(x, device):
    layer = built("tucker").to(device)
    with torch.inference_mode():
        before = layer(x)
        layer.weight.core.mul_(2)
        assert not torch.allclose(layer(x), before)
    with torch.no_grad():
        assert torch.equal(layer(x), fresh(layer, x))


@pytest.mark.parametrize("rank", [0.05, 1.0])
def test_kept_kernels_of_joint_layers_are_their_own(rank, x, device):
    joint = spectral_weight(3, 3, (6, 6), rank, layers=2).to(device).eval()
    layers = [SpectralConv(3, 3, (6, 6), bias=False, weight=joint.layer(i)).eval() for i in (0, 1)]
    with_gradients = [layer(x).detach() for layer in layers]
    with torch.no_grad():
        for _ in range(2):
            for layer, expected in zip(layers, with_gradients, strict=True):
                torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-6)
