import json
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from pdesolve import Grid
from pdesolve.operators import DeepONet

SQUARE = Grid((5, 4), (1.0, 2.0), periodic=False)
CIRCLE = Grid((8,), 3.0, periodic=True)


def from_fixture(path):
    facts = json.loads(path.with_suffix(".json").read_text())
    tensors = {k: v.double() for k, v in load_file(path.with_suffix(".safetensors")).items()}
    weights = {k[8:]: v for k, v in tensors.items() if k.startswith("weights/")}
    given = {k: v for k, v in facts["constructor"].items() if k != "kernel_initializer"}
    return facts, tensors, DeepONet.from_deepxde(weights, **given)


@pytest.mark.golden
def test_outputs_and_gradients_equal_deepxdes(golden):
    paths = sorted(golden.glob("deeponet*.json"))
    assert paths
    for path in paths:
        facts, tensors, model = from_fixture(path)
        u, points = (tensors[k].requires_grad_() for k in ("input", "input_trunk"))
        aligned = facts["official_class"] == "DeepONet"
        y = model.at(u[:, None], points[:, None] if aligned else points)
        y = y.squeeze(-1) if aligned else y.transpose(1, 2)
        y = y.reshape(tensors["output"].shape)
        torch.testing.assert_close(y, tensors["output"], rtol=0, atol=1e-12 * y.abs().max().item())
        (y * tensors["probe"]).sum().backward()
        for given, name in ((u, "grad_input"), (points, "grad_input_trunk")):
            expected = tensors[name]
            torch.testing.assert_close(
                given.grad, expected, rtol=0, atol=1e-12 * expected.abs().max().item()
            )
        assert sum(p.numel() for p in model.parameters()) == facts["parameters"]


def test_weights_that_do_not_fit_are_named():
    sizes = {"layer_sizes_branch": (3, 2), "layer_sizes_trunk": (1, 2), "activation": "tanh"}
    with pytest.raises(ValueError, match=r"lacks or has besides \['b.0', 'branch.linears"):
        DeepONet.from_deepxde({}, **sizes)
    with pytest.raises(ValueError, match="activation is 'step', expected a function"):
        DeepONet.from_deepxde({}, **(sizes | {"activation": "step"}))


@pytest.mark.parametrize("strategy", ["independent", "split_both", "split_branch", "split_trunk"])
@pytest.mark.parametrize("stacked", [False, True])
def test_the_output_is_the_sum_over_the_basis(strategy, stacked, device):
    model = DeepONet(
        2, 3, domain=SQUARE, basis=4, branch=(5,), trunk=(6,), strategy=strategy, stacked=stacked
    ).to(device, torch.float64)
    torch.nn.init.normal_(model.bias)
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, device=device)
    points = torch.rand(7, 2, dtype=torch.float64, device=device)
    y = model.at(x, points)
    s = 2 * points / points.new_tensor(SQUARE.lengths) - 1
    for c in range(3):
        branch, trunk = (nets[c if strategy == "independent" else 0] for nets in
                         (model.branches, model.trunks))  # fmt: skip
        b, t = branch(x, None), trunk(s)
        first = 4 * c
        b = b[:, first : first + 4] if strategy in ("split_both", "split_branch") else b
        t = t[:, first : first + 4] if strategy in ("split_both", "split_trunk") else t
        torch.testing.assert_close(y[:, c], b @ t.T + model.bias[c], rtol=1e-12, atol=1e-12)


def test_each_output_of_a_stacked_branch_has_a_network_of_its_own(device):
    model = DeepONet(1, 1, domain=CIRCLE, basis=3, branch=(4,), stacked=True).to(device)
    weights = model.branches[0].network.weights
    x = torch.randn(2, 1, 8, device=device)
    before = model.branches[0](x, None)
    with torch.no_grad():
        weights[0][1] += 1.0
    after = model.branches[0](x, None)
    assert (before[:, 1] != after[:, 1]).all()
    torch.testing.assert_close(before[:, ::2], after[:, ::2], rtol=0, atol=0)


def test_points_may_differ_from_sample_to_sample(device):
    model = DeepONet(1, 2, domain=SQUARE, basis=3, strategy="split_both").to(device, torch.float64)
    x = torch.randn(3, 1, 5, 4, dtype=torch.float64, device=device)
    points = torch.rand(3, 6, 2, dtype=torch.float64, device=device)
    y = model.at(x, points)
    for i in range(3):
        alone = model.at(x[i : i + 1], points[i])
        torch.testing.assert_close(y[i : i + 1], alone, rtol=1e-12, atol=1e-12)


def test_the_nodes_of_the_domain_are_the_points_of_the_output(device):
    model = DeepONet(1, 1, domain=SQUARE, basis=3).to(device, torch.float64)
    x = torch.randn(2, 1, 5, 4, dtype=torch.float64, device=device)
    here = SQUARE.coordinates(device=device)[:, 3, 1]
    torch.testing.assert_close(model(x)[:, 0, 3, 1], model.at(x, here[None])[:, 0, 0])


def test_times_are_frames_of_all_fields(device):
    times = (0.0, 0.5, 2.0)
    model = DeepONet(
        1, 6, domain=CIRCLE, basis=3, times=times, strategy="split_both", trunk=(5,)
    ).to(device, torch.float64)
    x = torch.randn(2, 1, 8, dtype=torch.float64, device=device)
    y = model(x)
    angle = 2 * math.pi * CIRCLE.coordinates(device=device)[0] / 3.0
    for frame, time in enumerate((-1.0, -0.5, 1.0)):
        seen = torch.stack([torch.full_like(angle, time), -angle.cos(), -angle.sin()], 1)
        t = model.trunks[0](seen).unflatten(1, (2, 3))
        b = model.branches[0](x, None).unflatten(1, (2, 3))
        expected = torch.einsum("bck,nck->bcn", b, t)
        torch.testing.assert_close(y[:, 2 * frame : 2 * frame + 2], expected)


def test_periodic_axes_give_a_periodic_output(device):
    model = DeepONet(1, 1, domain=CIRCLE, basis=3, fourier_features=4).to(device, torch.float64)
    x = torch.randn(1, 1, 8, dtype=torch.float64, device=device)
    points = torch.tensor([[0.4], [3.4]], dtype=torch.float64, device=device)
    here, once_around = model.at(x, points)[0, 0]
    torch.testing.assert_close(here, once_around, rtol=1e-12, atol=1e-12)


def test_fourier_features_have_the_scales_asked_for():
    torch.manual_seed(0)
    wide = DeepONet(
        1, 1, domain=SQUARE, fourier_features=4000, fourier_scales=(1.0, 10.0)
    ).points.frequencies
    assert wide.shape == (8000, 2)
    # The standard deviation of 8000 normal numbers is known to 0.8 %, four times that is allowed.
    assert wide[:4000].std() == pytest.approx(1.0, rel=0.032)
    assert wide[4000:].std() == pytest.approx(10.0, rel=0.032)


def test_the_boundary_is_exactly_zero(device):
    model = DeepONet(1, 1, domain=SQUARE, basis=3, boundary="zero").to(device)
    y = model(torch.randn(2, 1, 5, 4, device=device))[:, 0]
    assert y[:, 1:-1, 1:-1].abs().min() > 0
    y[:, 1:-1, 1:-1] = 0
    assert not y.any()


def test_a_boundary_function_shapes_the_output(device):
    def lifted(points, y):
        return 3.0 + points[..., 0] * y

    model = DeepONet(1, 1, domain=SQUARE, basis=3, boundary=lifted).to(device)
    y = model(torch.randn(2, 1, 5, 4, device=device))
    assert (y[:, :, 0] == 3.0).all()
    assert (y[:, :, 1:] != 3.0).all()


def test_a_convolutional_branch_pools_to_its_features(device):
    model = DeepONet(2, 1, domain=Grid((11, 8), 1.0, False), filters=(3, 4), branch=(6,), basis=5)
    assert model.branches[0].convolutions.features == 4 * 2 * 2
    assert model.to(device)(torch.randn(2, 2, 11, 8, device=device)).shape == (2, 1, 11, 8)


def test_dropout_acts_in_training_only():
    model = DeepONet(1, 1, domain=CIRCLE, dropout=0.5)
    x = torch.randn(1, 1, 8)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_norms_standardise_the_hidden_layers(norm):
    model = DeepONet(1, 1, domain=CIRCLE, norm=norm, branch=(16,), activation=lambda v: v)
    hidden = []
    model.branches[0].network.norms[0].register_forward_hook(lambda *a: hidden.append(a[2]))
    model(5 + 3 * torch.randn(32, 1, 8))
    axis = 1 if norm == "layer" else 0
    torch.testing.assert_close(hidden[0].mean(axis), torch.zeros(hidden[0].shape[1 - axis]),
                               atol=1e-5, rtol=0)  # fmt: skip


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(DeepONet, 1, 1), "expected a domain, or both of sensors and dims"),
        (partial(DeepONet, 1, 1, domain=CIRCLE, dims=1), "expected a domain, or both"),
        (partial(DeepONet, 1, 5, domain=CIRCLE, times=(0, 1)), "out_channels is 5 for 2 times"),
        (partial(DeepONet, 1, 1, domain=CIRCLE, boundary="zero"), 'boundary="zero" with domain'),
        (partial(DeepONet, 1, 1, domain=CIRCLE, filters=(2,) * 4), "halve the grid"),
        (partial(DeepONet, 1, 1, domain=CIRCLE, norm="layer", stacked=True), "stacked=True"),
        (partial(DeepONet, 1, 1, domain=CIRCLE, branch=(0,)), "widths is"),
    ],
)
def test_options_that_do_not_fit_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_other_sensors_points_and_parameters_are_refused():
    model = DeepONet(1, 1, domain=SQUARE, condition_dim=2)
    with pytest.raises(ValueError, match=r"points \(9, 7\), expected the sensors \(5, 4\)"):
        model(torch.zeros(1, 1, 9, 7))
    with pytest.raises(ValueError, match="condition of shape None given, expected 2"):
        model(torch.zeros(1, 1, 5, 4))
    with pytest.raises(ValueError, match=r"points has shape \(3, 1\), expected \(n, 2\)"):
        model.at(torch.zeros(1, 1, 5, 4), torch.zeros(3, 1), torch.zeros(1, 2))
    loose = DeepONet(1, 1, sensors=4, dims=1, activation=F.relu)
    with pytest.raises(ValueError, match="points are missing"):
        loose(torch.zeros(1, 1, 4))
