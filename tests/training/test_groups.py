import pytest
import torch
from torch import nn

from pdesolve.datasets import from_arrays
from pdesolve.operators import ScOT
from pdesolve.training import GroupedAdamW, Rule, Settings, fit


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.body, self.tail = (nn.Conv1d(1, 1, 1) for _ in range(3))

    def forward(self, x):
        return self.tail(self.body(self.head(x)))


def rates(optimizer):
    return [
        (g["lr"], g["weight_decay"], sum(p.numel() for p in g["params"]))
        for g in optimizer.param_groups
    ]


def test_the_first_rule_that_finds_a_name_decides():
    rules = (Rule("head", lr=1.0), Rule("bias", weight_decay=0.0), Rule("tail", lr=2.0))
    optimizer = GroupedAdamW(0.1, 0.5, rules=rules)(Parts())
    assert rates(optimizer) == [(1.0, 0.5, 2), (0.1, 0.0, 2), (2.0, 0.5, 1), (0.1, 0.5, 1)]


def test_frozen_parts_stay_and_the_others_learn(generator):
    torch.manual_seed(0)
    model = Parts()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    x = torch.randn(8, 1, 5, generator=generator)
    data = from_arrays(x, 2 * x + 1, periodic=(True,))
    optimizer = GroupedAdamW(1e-2, rules=(Rule(r"^body\.", frozen=True),))
    fit(model, data, optimizer=optimizer, settings=Settings(epochs=2, batch_size=4), progress=False)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("body")


def test_the_published_groups_of_scot_have_the_published_sizes():
    rules = (
        Rule("embeddings|patch_recovery", lr=5e-4),
        Rule("norm", lr=5e-4, weight_decay=0.0),
        Rule("bias", weight_decay=0.0),
    )
    with torch.device("meta"):
        model = ScOT(4, 4)
    found = [
        (len(ps), sum(p.numel() for p in ps)) for _, ps in GroupedAdamW(rules=rules).groups(model)
    ]
    assert found == [(9, 6788), (304, 52800), (274, 283584), (257, 20431272)]


def test_a_rule_that_finds_nothing_is_refused():
    with pytest.raises(ValueError, match="rule 'haed' finds none"):
        GroupedAdamW(rules=(Rule("haed"),))(Parts())


def test_a_model_that_is_frozen_throughout_is_refused():
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        GroupedAdamW(rules=(Rule("", frozen=True),))(Parts())
