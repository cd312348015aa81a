import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pdesolve.operators
from pdesolve import Grid
from pdesolve.artifacts import ArtifactError
from pdesolve.artifacts.config import build, decode, encode
from pdesolve.layers import Normalized
from pdesolve.operators import TFNO


def through_json(value):
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 0.1, "node", (4, 5), (0.25, (1, 2)), F.gelu, torch.tanh,
        Grid((8, 9), (1.0, 2.0), (True, False)), Grid((4,), 1.0, False, "cell"),
    ],
)  # fmt: skip
def test_arguments_come_back_equal(value):
    assert through_json(value) == value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_tensors_come_back_bit_for_bit(dtype, generator):
    tensor = (100 * torch.randn(3, 2, generator=generator, dtype=torch.float64)).to(dtype)
    back = through_json(tensor)
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_nested_modules_come_back_with_their_arguments():
    operator = TFNO(1, 1, (4, 4), 4, 2, 0.5, domain=Grid((8, 8), 1.0, False), activation=F.silu)
    model = Normalized(operator, *torch.tensor([[0.1], [0.2], [0.3], [0.4]]))
    back = through_json(model)
    assert type(back) is Normalized
    assert back.operator.constructor_arguments == operator.constructor_arguments
    assert torch.equal(back.y_std, model.y_std)


def test_a_class_of_the_same_name_from_elsewhere_is_foreign():
    class TFNO(nn.Module):
        pass

    assert "foreign" in encode(TFNO())


@pytest.mark.parametrize("value", [object(), torch.load, lambda x: x, {"a": 1}])
def test_what_cannot_be_written_is_refused_by_name(value):
    with pytest.raises(ArtifactError, match=r"model\.activation is"):
        encode(value, "model.activation")


@pytest.mark.parametrize(
    "name", ["os.system", "Sequential", "torch.nn.Linear", "_Block", "__builtins__", "Normalised"]
)
def test_a_class_that_is_not_exported_is_never_built(name):
    with pytest.raises(ArtifactError, match="is not known, expected one of"):
        build({"class": name, "arguments": {}})


def test_only_modules_among_the_exported_names_are_classes(monkeypatch):
    monkeypatch.setattr(pdesolve.operators, "Grid", Grid, raising=False)
    with pytest.raises(ArtifactError, match="'Grid' is not known"):
        build({"class": "Grid", "arguments": {"shape": [4], "lengths": [1.0], "periodic": [True]}})


@pytest.mark.parametrize(
    "value",
    [
        {"function": "load"}, {"function": "__import__"}, {"unknown": 1}, {},
        {"tensor": [1], "dtype": "Tensor"}, {"class": "TFNO"},
    ],
)  # fmt: skip
def test_objects_of_unknown_kind_are_refused(value):
    with pytest.raises(ArtifactError, match="which this version does not know"):
        decode(value)


def test_arguments_of_another_version_are_refused():
    with pytest.raises(ArtifactError, match="TFNO does not take the recorded arguments"):
        build({"class": "TFNO", "arguments": {"heads": 4}})


@pytest.mark.parametrize("value", [3, "TFNO", None, [1, 2]])
def test_a_description_of_no_model_is_refused(value):
    with pytest.raises(ArtifactError, match="expected a model"):
        build(value)
