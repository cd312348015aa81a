"""A run on a mixture that dies goes on bit for bit, in the middle of an epoch too."""

import numpy as np
import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    Member,
    Mixture,
    Pairs,
    open_dataset,
)
from pdesolve.training import Interrupted, Settings, fit


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.zeros(1))

    def forward(self, x, condition):
        return x * torch.exp(self.rate * condition[:, :1])[..., None]


@pytest.fixture
def mixture(tmp_path):
    members = []
    for number, samples in enumerate((3, 2)):
        spec = DatasetSpec(
            f"m{number}",
            Grid((5,), 1.0, True),
            (FieldSpec("u", "output", time_varying=True),),
            (0.0, 1.0, 2.0),
        )
        random = np.random.default_rng(number)
        with DatasetWriter(tmp_path / f"{number}.h5", spec, samples, provenance={}) as writer:
            for index in range(samples):
                writer.write(index, {"u": random.normal(size=(3, 5))}, seed=index)
            members.append(
                Member(open_dataset(writer.finish(), window=Pairs()), weight=number + 1.0)
            )
    return Mixture(members, horizon=[(0, 1.0), (1, 2.0)])


def test_an_interrupted_run_on_a_mixture_resumes_bit_for_bit(mixture, tmp_path):
    settings = Settings(epochs=3, batch_size=4, checkpoint_every=1, log_every=1)
    whole, broken = Flow(), Flow()
    fit(whole, mixture, mixture, settings=settings, progress=False)
    steps = iter([False] * 9 + [True])
    with pytest.raises(Interrupted):
        fit(
            broken,
            mixture,
            mixture,
            folder=tmp_path / "run",
            settings=settings,
            stop=lambda: next(steps),
            progress=False,
        )
    resumed = Flow()
    fit(resumed, mixture, mixture, folder=tmp_path / "run", settings=settings, progress=False)
    assert torch.equal(whole.rate, resumed.rate)
    assert float(whole.rate.detach()) != 0


def test_another_share_is_another_run(mixture, tmp_path):
    fit(Flow(), mixture, folder=tmp_path / "run", settings=Settings(epochs=1), progress=False)
    other = Mixture(mixture.members)
    with pytest.raises(ValueError, match="holds another run"):
        fit(Flow(), other, folder=tmp_path / "run", settings=Settings(epochs=1), progress=False)
