import pytest
import torch
from torch import nn

from pdesolve import Grid
from pdesolve.artifacts import ArtifactError, export
from pdesolve.operators import DeepONet, ScOT


def test_a_program_takes_any_batch_and_leaves_the_mode_alone():
    model = DeepONet(1, 1, domain=Grid((6,), 1.0, False), condition_dim=2, dropout=0.5)
    x, condition = torch.randn(7, 1, 6), torch.randn(7, 2)
    program = export.exported(model, x[:2], condition[:2]).module()
    assert model.training
    torch.testing.assert_close(program(x, condition), model.eval()(x, condition))


def test_onnx_computes_what_the_model_does():
    model = DeepONet(1, 2, domain=Grid((6,), 1.0, False), strategy="split_both").eval()
    x = torch.randn(3, 1, 6)
    file = export.onnx_bytes(export.exported(model, x))
    with torch.no_grad():
        torch.testing.assert_close(export.run_onnx(file, x[:1]), model(x[:1]))


def test_onnx_computes_attention_in_windows():
    torch.manual_seed(0)
    model = ScOT(1, 1, 12, (2,), (3,), window=2, skips=(0,)).eval()
    x, t = torch.randn(5, 1, 16, 16), torch.rand(5, 1)
    file = export.onnx_bytes(export.exported(model, x, t))
    with torch.no_grad():
        for n in (1, 5):
            found = export.run_onnx(file, x[:n], t[:n])
            torch.testing.assert_close(found, model(x[:n], t[:n]), rtol=1e-4, atol=1e-5)


class Untraceable(nn.Module):
    def forward(self, x):
        return x if x.sum().item() > 0 else -x


def test_a_model_that_cannot_be_traced_says_so():
    with pytest.raises(ArtifactError, match="Untraceable cannot be traced"):
        export.exported(Untraceable(), torch.ones(2, 1, 3))


class ComplexInside(nn.Module):
    def forward(self, x):
        return torch.fft.irfftn(torch.fft.rfftn(x, dim=(2, 3)).exp(), dim=(2, 3))


def test_an_operation_that_onnx_lacks_is_named():
    with pytest.raises(ArtifactError, match="ONNX has no form of this model"):
        export.onnx_bytes(export.exported(ComplexInside(), torch.randn(2, 1, 4, 4)))


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(export, "NEEDED", ("no_such_package",))
    program = export.exported(nn.Identity(), torch.ones(2, 1, 3))
    with pytest.raises(ArtifactError, match="needs no_such_package, which are not installed"):
        export.onnx_bytes(program)
