from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch.nn.functional import one_hot

from pdesolve import Grid
from pdesolve.cli.build import build
from pdesolve.cli.configs import config_folder
from pdesolve.operators import MultiTaskDeepONet

LINE = Grid((6,), 1.0, periodic=False)
SQUARE = Grid((9, 9), 1.0, periodic=False, placement="cell")


def from_config(name, **known):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        node = compose(f"operator/{name}")
    return build(node.operator, **known)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_parameter_count_of_the_published_fisher_network():
    times = tuple(i / 19 for i in range(20))
    model = from_config(
        "multi_task_deeponet_fisher", in_channels=1, out_channels=20, condition_dim=5, times=times,
        domain=Grid((64,), 1.0, False),
    )  # fmt: skip
    assert parameters(model) == 136_664


def test_parameter_count_of_the_published_darcy_network():
    domain = Grid((100, 100), 1.0, False, placement="cell")
    model = from_config(
        "multi_task_deeponet_darcy", in_channels=2, out_channels=1, condition_dim=0, domain=domain
    )
    assert parameters(model) == 559_164


def test_parameter_count_of_the_published_plate_network():
    domain = Grid((16, 8, 4), (10.0, 2.5, 0.5), False, placement="cell")
    model = from_config(
        "multi_task_deeponet_plate", in_channels=1, out_channels=1, condition_dim=2, domain=domain
    )
    running = {k: b for k, b in model.named_buffers() if "running" in k}
    assert parameters(model) == 238_448
    assert sum(b.numel() for b in running.values()) == 2_432


def with_law(**options):
    return MultiTaskDeepONet(1, 1, domain=LINE, basis=3, condition_dim=3, forms=2, **options)


@pytest.mark.parametrize(("encoding", "numbers"), [("coefficients", 2), ("form", 2), ("both", 4)])
def test_a_law_is_told_by_its_form_its_coefficients_or_both(encoding, numbers, device):
    model = with_law(encoding=encoding).to(device)
    x = torch.randn(2, 1, 6, device=device)
    law = torch.tensor([[0.0, 0.3, 0.4], [1.0, 0.5, 0.6]], device=device)
    columns = one_hot(law[:, 0].long(), 2).float()
    told = {
        "coefficients": law[:, 1:],
        "form": columns,
        "both": torch.cat([columns, law[:, 1:]], 1),
    }
    seen = model.branch(x, told[encoding])
    assert told[encoding].shape[1] == numbers
    torch.testing.assert_close(
        model(x, law)[:, 0], seen @ model.trunk(model.points(model.points.nodes(x))).T
    )


@pytest.mark.parametrize("number", [-1.0, 2.0, 0.5])
def test_an_unknown_law_is_refused(number):
    law = torch.tensor([[0.0, 1.0, 1.0], [number, 1.0, 1.0]])
    with pytest.raises(ValueError, match=f"law of a sample is number {number:g}, expected 0 to 1"):
        with_law()(torch.zeros(2, 1, 6), law)


def masked(**options):
    return MultiTaskDeepONet(2, 1, domain=SQUARE, basis=3, mask_channel=1, **options)


def test_the_output_is_zero_outside_the_mask(device):
    model = masked().to(device)
    x = torch.rand(2, 2, 9, 9, device=device)
    x[:, 1] = (x[:, 1] > 0.5).float()
    y = model(x)
    assert (y[:, 0][x[:, 1] == 0] == 0).all()
    torch.testing.assert_close(
        y[:, 0][x[:, 1] == 1],
        model.at(x, model.points.nodes(x)).reshape(2, 9, 9)[x[:, 1] == 1],
    )


def test_a_mask_that_is_all_outside_is_refused():
    x = torch.ones(3, 2, 9, 9)
    x[1, 1] = 0
    with pytest.raises(ValueError, match=r"masks of samples \[1\] of the batch are 0 everywhere"):
        masked()(x)


def test_transfer_keeps_the_inner_layers():
    model = masked(filters=(2, 3, 4), branch=(5, 5), trunk=(6, 6))
    kept = model.freeze_for_transfer()
    assert {name.rpartition(".")[0] for name in kept} == {
        "branch.convolutions.layers.1", "branch.convolutions.layers.2",
        "trunk.layers.0", "trunk.layers.1",
    }  # fmt: skip
    learning = {n.rpartition(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert learning == {
        "branch.convolutions.layers.0", "branch.network.layers.0", "branch.network.layers.1",
        "branch.network.layers.2", "trunk.layers.2",
    }  # fmt: skip


def test_the_slope_of_leaky_relu_is_the_one_asked_for():
    activation = MultiTaskDeepONet(1, 1, domain=LINE, negative_slope=0.3).trunk.activation
    assert activation(torch.tensor(-1.0)) == pytest.approx(-0.3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(MultiTaskDeepONet, 1, 1, domain=LINE, mask_channel=1), "mask_channel is 1"),
        (partial(MultiTaskDeepONet, 1, 1, domain=LINE, forms=2), "forms is 2 and condition_dim 0"),
        (partial(MultiTaskDeepONet, 1, 3, domain=LINE, times=(0, 1)), "out_channels is 3"),
    ],
)
def test_options_that_do_not_fit_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_sensors_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"points \(8, 9\), expected the sensors \(9, 9\)"):
        masked()(torch.ones(1, 2, 8, 9))
    with pytest.raises(ValueError, match="condition of shape None given, expected 2"):
        with_law()(torch.zeros(1, 1, 6))


def test_the_transfer_config_freezes_what_the_operator_would():
    options = {"filters": (2, 3, 4), "branch": (5, 5), "trunk": (6, 6, 6, 6)}
    by_config, by_method = masked(**options), masked(**options)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        build(compose("optimizer/deeponet_transfer").optimizer)(by_config)
    frozen = [name for name, p in by_config.named_parameters() if not p.requires_grad]
    assert frozen == by_method.freeze_for_transfer()
