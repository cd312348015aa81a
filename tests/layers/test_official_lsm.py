import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pdesolve.layers.official_lsm import official_block, operator_arguments
from pdesolve.operators import LSM, LSMIrregular


def fixtures(wanted=lambda description: True):
    """Stored models, found when the tests are collected (one test each)."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("PDESOLVE_GOLDEN", root.parent / "shared" / "data" / "golden"))
    stored = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}
    kinds = {name: found.get("family", name.partition("_")[0]) for name, found in stored.items()}
    return sorted(n for n, k in kinds.items() if k == "lsm" and wanted(stored[n])) or ["none"]


class Stored:
    """A fixture: our model with its weights, called as the official one is."""

    def __init__(self, golden, name, device="cpu"):
        self.description = json.loads((golden / f"{name}.json").read_text())
        stored = load_file(golden / f"{name}.safetensors")
        self.tensors = {
            key: value.to(device, torch.float64) if value.is_floating_point() else value.to(device)
            for key, value in stored.items()
        }
        constructor = self.description["constructor"]
        self.variant = Path(self.description["official_file"]).stem
        self.block = self.description["official_class"] != "Model"
        if self.block:
            self.model = official_block(self.weights(), **constructor)
        else:
            model = LSMIrregular if self.variant == "LSM_Irregular_Geo" else LSM
            load = model.from_official
            self.model = load(self.weights(), variant=self.variant, **constructor)
        self.model.to(device).eval()

    def weights(self):
        found = {k: v for k, v in self.tensors.items() if k.startswith(("weights/", "iphi/"))}
        found = {k.removeprefix("weights/").replace("iphi/", "iphi."): v for k, v in found.items()}
        whole = {k: v for k, v in found.items() if not k.endswith((".re", ".im"))}
        for k in found:
            if k.endswith(".re"):
                whole[k[:-3]] = torch.complex(found[k], found[f"{k[:-3]}.im"])
        return whole

    def __call__(self, x):
        """Channels of x and of the output lie last, but for a block alone."""
        if self.block:
            return self.model(x, self.description["constructor"]["patch_size"])
        further = {}
        if isinstance(self.model, LSMIrregular):
            # The points are what is known at them.
            further = {"points": x, "query": self.tensors.get("x_out")}
            further["condition"] = self.tensors.get("code")
        return self.model(x.movedim(-1, 1), **further).movedim(1, -1)


@pytest.mark.golden
@pytest.mark.parametrize("name", fixtures())
def test_official_weights_give_the_official_output_and_gradient(name, golden, device):
    stored = Stored(golden, name, device)
    x = stored.tensors["input"].requires_grad_()
    y = stored(x)
    assert_within(y, stored.tensors["output"], 1e-12)
    if "probe" in stored.tensors:
        (gradient,) = torch.autograd.grad((y * stored.tensors["probe"]).sum(), x)
        assert_within(gradient, stored.tensors["grad_input"], 1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("name", fixtures(lambda description: description.get("has_train")))
def test_a_pass_in_training_gives_the_official_output_and_statistics(name, golden):
    stored = Stored(golden, name)
    stored.model.train()
    assert_within(stored(stored.tensors["input"]), stored.tensors["output_train"], 1e-12)
    first = stored.model.body.encoder[0]
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        expected = stored.tensors[f"after_train/inc.double_conv.1.{name}"]
        torch.testing.assert_close(getattr(first[1], name), expected, rtol=1e-12, atol=1e-12)


def assert_within(found, expected, tolerance):
    assert (found.detach() - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.golden
@pytest.mark.parametrize("name", fixtures())
def test_parameter_count_is_that_of_the_official_model(name, golden):
    stored = Stored(golden, name)
    parts = [p.numel() for n, p in stored.model.named_parameters() if not n.startswith("map.")]
    # The coordinate map is a model of its own there.
    assert sum(parts) == stored.description["parameters"]


SMALL = dict(in_dim=1, out_dim=1, d_model=8, num_token=2, num_basis=3, patch_size="1,1")


def test_the_official_padding_counts_axes_from_the_last():
    arguments = operator_arguments("LSM_2D", **SMALL, padding="3,5")
    assert arguments["padding"] == (5, 3)


def test_another_file_or_foreign_weights_are_refused():
    with pytest.raises(ValueError, match="variant is 'LSM_1D'"):
        operator_arguments("LSM_1D", **SMALL, padding="0,0")
    weights = {"fc0.weight": torch.ones(8, 3), "head.weight": torch.ones(1)}
    with pytest.raises(ValueError, match=r"holds 'head\.weight'"):
        LSM.from_official(weights, variant="LSM_2D", **SMALL, padding="0,0")
