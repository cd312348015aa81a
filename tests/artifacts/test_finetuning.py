import pytest
import torch

from pdesolve.artifacts import ArtifactError, pretrained, save
from pdesolve.layers import Normalized
from pdesolve.operators import TFNO, ScOT


def saved(operator, channels, folder):
    statistics = [torch.full((c,), v) for c in channels for v in (5.0, 2.0)]
    save(Normalized(operator, *statistics), folder)
    return folder


def test_a_transformer_starts_from_what_it_learned_for_other_channels(tmp_path, generator):
    torch.manual_seed(0)
    operator = ScOT(1, 1, 6, (2,), (3,), skips=(0,), window=2, patch=2)
    folder = saved(operator, (1, 1), tmp_path / "model")
    new = pretrained(folder, in_channels=2, out_channels=2, time_scale=4.0)
    x, t = torch.randn(1, 2, 8, 8, generator=generator), torch.full((1, 1), 0.5)
    torch.testing.assert_close(new(x, 4 * t)[:, :1], operator(x[:, :1], t), rtol=1e-4, atol=1e-6)
    assert new.constructor_arguments["time_scale"] == 4.0


def test_other_operators_keep_their_channels(tmp_path, generator):
    operator = TFNO(1, 1, (4,), 4, 1)
    folder = saved(operator, (1, 1), tmp_path / "model")
    x = torch.randn(1, 1, 8, generator=generator)
    assert torch.equal(pretrained(folder, in_channels=1, out_channels=1)(x), operator(x))
    with pytest.raises(ArtifactError, match=r"TFNO in .* has \(1, 1\) channels, expected \(2, 1\)"):
        pretrained(folder, in_channels=2, out_channels=1)
