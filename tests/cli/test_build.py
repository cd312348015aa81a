import pytest
import torch

from pdesolve import Grid
from pdesolve.cli.build import build, located
from pdesolve.cli.failures import UsageError

# Callables that Hydra's own list of forbidden targets lets through.
DANGEROUS = [
    "os.system",
    "torch.load",
    "torch.hub.load",
    "torch.ops.load_library",
    "torch.utils.cpp_extension.load",
    "numpy.load",
    "numpy.save",
    "h5py.File",
    "pathlib.Path.unlink",
    "pathlib.Path.write_text",
    "io.open",
    "urllib.request.urlretrieve",
    "webbrowser.open",
    "builtins.eval",
    "logging.os.system",
    "pdesolve.cli.data.json.loads",
    "pdesolve.cli.application.os.remove",
    "torch.optim.optimizer.warnings.warn",
    "torch.optimizer",
]


@pytest.mark.parametrize("target", DANGEROUS)
def test_a_target_outside_the_allowed_packages_is_refused(target):
    with pytest.raises(UsageError, match="_target_"):
        located(target, allow=())


@pytest.mark.parametrize("target", DANGEROUS[:3])
def test_a_hidden_target_is_refused_before_anything_is_built(target, tmp_path):
    node = {"_target_": "pdesolve.Grid", "shape": [{"deep": {"_target_": target, "_args_": ["x"]}}]}
    with pytest.raises(UsageError, match="outside"):
        build(node)


def test_a_users_own_package_is_opened_by_name():
    assert located("fractions.Fraction", allow=["fractions"]).__name__ == "Fraction"
    with pytest.raises(UsageError, match=r"add allow=\[fractions\] to the command line"):
        located("fractions.Fraction", allow=())


def test_lists_of_a_node_arrive_as_plain_lists():
    node = {"_target_": "pdesolve.Grid", "shape": [4, 4], "lengths": 1, "periodic": True}
    assert build(node) == Grid((4, 4), 1.0, True)


def test_arguments_that_a_class_does_not_name_are_dropped():
    node = {"_target_": "pdesolve.Grid", "shape": [4], "lengths": 1.0}
    assert build(node, periodic=True, in_channels=3) == Grid((4,), 1.0, True)


def test_torch_schedulers_are_built_partially():
    node = {"_target_": "torch.optim.lr_scheduler.StepLR", "_partial_": True, "step_size": 3}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert build(node)(optimizer).step_size == 3


@pytest.mark.parametrize("node", [None, {}, {"key": 1}])
def test_a_node_without_target_builds_nothing(node):
    assert build(node) is None


def test_a_misspelt_class_is_named():
    with pytest.raises(UsageError, match=r"pdesolve\.operators\.TNFO"):
        located("pdesolve.operators.TNFO", allow=())
