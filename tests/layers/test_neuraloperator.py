import json
import os
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pdesolve.layers import SpectralConv


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
@pytest.mark.parametrize("factorization", [None, "Tucker", "CP", "TT"])
@pytest.mark.parametrize("shape", [(16,), (32, 24), (8, 12, 10), (16, 8), (6, 32)])
def test_neuraloperator_agrees_on_even_grids(
    shape, factorization, separable, neuralop_layer, generator
):
    modes = (12, 8, 6)[: len(shape)]
    with warnings.catch_warnings():
        # tensorly warns of tensor trains with two cores.
        warnings.simplefilter("ignore")
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
@pytest.mark.parametrize("factorization", [None, "Tucker", "CP", "TT"])
def test_neuraloperator_loads_our_weights(factorization, separable, neuralop_layer):
    form = {} if factorization is None else dict(rank=0.4, factorization=factorization.lower())
    ours = SpectralConv(4, 4, (6, 8), separable=separable, **form)
    official = neuralop_layer(
        4, 4, (6, 8), factorization=factorization, rank=0.4, separable=separable
    )
    official.load_state_dict(ours.to_neuraloperator())
    back = SpectralConv.from_neuraloperator(
        official.state_dict(), in_channels=4, out_channels=4, modes=(6, 8), separable=separable
    )
    for name, value in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
