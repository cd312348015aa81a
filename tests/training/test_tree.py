import json
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, SequentialLR

from pdesolve.training import LBFGS, AdamW, Muon
from pdesolve.training.tree import flatten, unflatten


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def through_json(tree):
    written, tensors = flatten(tree, "it")
    return unflatten(json.loads(json.dumps(written)), tensors)


@pytest.mark.parametrize("optimizer", [AdamW(), AdamW(complex_moment="joint"), Muon(), LBFGS()])
def test_state_of_every_optimizer_comes_back(tiny, optimizer):
    model = tiny.TinyModel()
    rule = optimizer(model)
    x = tiny.tiny_set().batch(range(4)).x

    def closure():
        rule.zero_grad()
        loss = model.eval()(x).square().mean()
        loss.backward()
        return loss

    for _ in range(2):
        rule.step(closure)
    assert same(rule.state_dict(), through_json(rule.state_dict()))


@pytest.mark.parametrize(
    "factory",
    [
        partial(CosineAnnealingLR, T_max=5),
        partial(OneCycleLR, max_lr=1.0, total_steps=10),
        ReduceLROnPlateau,
        lambda o: SequentialLR(o, [CosineAnnealingLR(o, 5), CosineAnnealingLR(o, 5)], [2]),
    ],
)
def test_state_of_torch_schedulers_comes_back(factory):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    state = factory(optimizer).state_dict()
    assert same(state, through_json(state))


def test_numbers_come_back_exactly():
    assert through_json({"a": 0.1 + 0.2, 3: float("inf"), "t": (1, None, True)}) == {
        "a": 0.1 + 0.2,
        3: float("inf"),
        "t": (1, None, True),
    }


def test_what_needs_pickle_is_refused():
    with pytest.raises(TypeError, match="holds a set"):
        flatten({"a": {1, 2}}, "scheduler")
