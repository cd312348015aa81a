import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pdesolve.layers.official_mgno import official_vcycle, operator_arguments
from pdesolve.operators import MgNO


def fixtures():
    """Stored models, found when the tests are collected (one test each)."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("PDESOLVE_GOLDEN", root.parent / "shared" / "data" / "golden"))
    stored = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}
    kinds = {name: found.get("family", name.partition("_")[0]) for name, found in stored.items()}
    return sorted(n for n, k in kinds.items() if k in ("mgno", "mgconv")) or ["none"]


def loaded(golden, name):
    """Description, tensors and our model of a fixture."""
    description = json.loads((golden / f"{name}.json").read_text())
    tensors = load_file(golden / f"{name}.safetensors")
    weights = {
        key.removeprefix("weights/"): value.double()
        for key, value in tensors.items()
        if key.startswith("weights/")
    }
    variant = description["official_class"]
    load = official_vcycle if variant.startswith("MgConv") else MgNO.from_official
    return description, tensors, load(weights, variant=variant, **description["constructor"])


@pytest.mark.golden
@pytest.mark.parametrize("name", fixtures())
def test_official_weights_give_the_official_output_and_gradient(name, golden, device):
    _, tensors, model = loaded(golden, name)
    x = tensors["input"].to(device).requires_grad_()
    y = model.to(device).eval()(x)
    assert_within(y, tensors["output"], 1e-12)
    if "probe" in tensors:
        (gradient,) = torch.autograd.grad((y * tensors["probe"].to(device)).sum(), x)
        assert_within(gradient, tensors["grad_input"], 1e-12)


def assert_within(found, expected, tolerance):
    error = (found.detach().cpu() - expected).abs().max() / expected.abs().max()
    assert error < tolerance


@pytest.mark.golden
@pytest.mark.parametrize("name", fixtures())
def test_parameter_count_is_that_of_the_official_model(name, golden):
    description, tensors, model = loaded(golden, name)
    levels = len(description["constructor"]["num_iteration"])
    # MgConv_DC_smooth builds five prolongations for any number of levels.
    surplus = sum(
        value.numel()
        for key, value in tensors.items()
        if (match := re.search(r"RTlayers\.(\d+)\.", key)) and int(match[1]) >= levels - 1
    )
    count = sum(p.numel() for p in model.parameters())
    assert count + surplus == description["parameters"]


# A network that is not stored: arguments and the count of the official class.
def test_parameter_count_of_the_second_helmholtz_model():
    arguments = operator_arguments(
        "MgNO_helm2",
        num_layer=4,
        num_channel_u=20,
        num_channel_f=1,
        num_iteration=[[1, 0], [1, 0], [1, 0], [1, 0], [2, 0]],
    )
    assert sum(p.numel() for p in MgNO(**arguments).parameters()) == 1_933_797


SMALL = dict(num_layer=1, num_channel_u=2, num_channel_f=1, num_iteration=[[1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("variant", "changes", "message"),
    [
        ("MgNO", {}, "variant is 'MgNO'"),
        ("MgNO_DC", dict(activation="sin"), "activation 'sin'"),
        ("MgNO_DC", dict(bias=True), "takes no"),
        ("MgNO_DC", dict(padding_mode="odd"), "padding_mode is 'odd'"),
        ("MgNO_helm", {}, "num_iteration has 2 levels, expected 5"),
    ],
)
def test_arguments_that_no_official_model_has_are_refused(variant, changes, message):
    with pytest.raises(ValueError, match=message):
        operator_arguments(variant, **{**SMALL, **changes})


def test_weights_that_do_not_fit_are_refused():
    model = MgNO(**operator_arguments("MgNO_DC", **SMALL))
    official = {"conv_list.0.layer0.0.S.weight": torch.zeros(2, 1, 3, 3)}
    with pytest.raises(ValueError, match=rf"{len(model.state_dict()) - 1} weights in all"):
        MgNO.from_official(official, variant="MgNO_DC", **SMALL)
    with pytest.raises(ValueError, match="statistics of its normalizer"):
        MgNO.from_official({"normalizer.mean": torch.ones(1)}, variant="MgNO_DC", **SMALL)
    with pytest.raises(ValueError, match="an official V-cycle only"):
        MgNO.from_official({"conv_list.0.A": torch.ones(1)}, variant="MgNO_DC", **SMALL)
