import json

import numpy as np
import pytest
import torch

from pdesolve import load
from pdesolve.artifacts import export


@pytest.mark.parametrize("stride", [1, 2])
def test_exported_files_compute_what_the_model_does(with_model, stride):
    done = with_model("export", f"run={with_model.trained}", f"stride={stride}")
    assert done.code == 0, done.err
    figures = json.loads((done.run / "metrics.json").read_text())
    assert figures["torch/difference"] < 1e-5
    assert figures["onnx/difference"] < 1e-5
    n = 17 if stride == 1 else 9
    described = json.loads((done.run / "exported/interface.json").read_text())
    assert described["grid"]["shape"] == [n, n]
    assert [one["name"] for one in described["outputs"]] == ["solution"]
    x = 3 + torch.rand(5, 1, n, n)
    with torch.no_grad():
        expected = load(with_model.trained / "model").eval()(x)
    program = torch.export.load(done.run / "exported/model.pt2").module()
    onnx = export.run_onnx((done.run / "exported/model.onnx").read_bytes(), x)
    for found in (program(x), onnx):
        np.testing.assert_allclose(
            found.detach(), expected, rtol=0, atol=1e-5 * expected.abs().max()
        )


def test_files_that_differ_are_not_written(with_model):
    done = with_model("export", f"run={with_model.trained}", "tolerance=-1")
    assert done.code == 4
    assert "nothing was written" in done.err
    assert not list(with_model.folder.rglob("model.pt2"))


@pytest.mark.parametrize(
    ("override", "message"),
    [("formats=[tflite]", "formats holds ['tflite'], expected some of"), ("run=no", "no config")],
)
def test_what_cannot_be_exported_is_refused(with_model, override, message):
    done = with_model("export", f"run={with_model.trained}", override)
    assert done.code == 2
    assert message in done.err
