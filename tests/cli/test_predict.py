import numpy as np
import pytest
import torch

import pdesolve as package
from pdesolve.datasets import open_dataset


def test_predictions_of_a_dataset_are_a_dataset(with_model):
    done = with_model(
        "predict", f"run={with_model.trained}", "data=data/darcy_demo", "split=test", "stride=2",
        "samples=3",
    )  # fmt: skip
    assert done.code == 0, done.err
    predicted = open_dataset(done.run / "predictions.h5").batch(range(3))
    inputs = open_dataset(with_model.folder / "data/darcy_demo", split="test", stride=2)
    model = package.load(with_model.trained / "model")
    with torch.no_grad():
        expected = model(inputs.batch(range(3)).x)
    torch.testing.assert_close(predicted.y, expected)
    assert (done.run / "predictions.png").is_file()


def test_predictions_of_an_array_are_an_array(with_model):
    x = np.full((2, 11, 11), 3.0)
    np.save(with_model.folder / "x.npy", x)
    done = with_model("predict", f"run={with_model.trained}", "data=x.npy")
    assert done.code == 0, done.err
    model = package.load(with_model.trained / "model")
    with torch.no_grad():
        expected = model(torch.full((2, 1, 11, 11), 3.0))
    np.testing.assert_allclose(np.load(done.run / "predictions.npy"), expected.numpy(), rtol=1e-6)


NAN = np.full((3, 9, 9), 3.0)
NAN[2, 4, 4] = np.nan


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{"a": 1}], dtype=object), "without pickle"),
        (np.array(["a"]), "expected real numbers"),
        (np.zeros((2, 9, 9), np.complex64), "expected real numbers"),
        (np.zeros((0, 9, 9)), r"of shape (0, 9, 9)"),
        (np.zeros((9, 9)), "with 2 grid axes"),
        (NAN, "NaN or infinity in sample 2"),
    ],
)
def test_an_array_that_cannot_be_an_input_is_refused(with_model, array, message):
    np.save(with_model.folder / "x.npy", array, allow_pickle=True)
    done = with_model("predict", f"run={with_model.trained}", "data=x.npy")
    assert done.code == 3, done.err
    assert message in done.err


def test_an_empty_file_is_refused(with_model):
    (with_model.folder / "x.npy").write_bytes(b"")
    assert with_model("predict", f"run={with_model.trained}", "data=x.npy").code == 3


def test_errors_are_estimated_and_large_ones_refined(with_model):
    arguments = (f"run={with_model.trained}", "data=data/darcy_demo", "split=test", "samples=3")
    plain = with_model("predict", *arguments, "estimate=true")
    assert plain.code == 0, plain.err
    header, *rows = (plain.run / "errors.csv").read_text().split()
    assert "estimates do not count the grid" in plain.out
    assert header == "sample,estimated_before,estimated,refined"
    estimates = [float(row.split(",")[1]) for row in rows]
    data = open_dataset(plain.run / "predictions.h5").batch(range(3))
    truth = open_dataset(with_model.folder / "data/darcy_demo", split="test").batch(range(3))
    errors = (data.y - truth.y).flatten(1).norm(dim=1) / truth.y.flatten(1).norm(dim=1)
    np.testing.assert_allclose(estimates, errors, rtol=0.05)

    tolerance = sorted(estimates)[1] * 1.0001
    refined = with_model("predict", *arguments, f"tolerance={tolerance}", "hydra.run.dir=refined")
    assert refined.code == 0, refined.err
    better = open_dataset(refined.run / "predictions.h5").batch(range(3))
    worst = int(np.argmax(estimates))
    for row in range(3):
        assert torch.equal(better.y[row], data.y[row]) == (row != worst)
    assert (better.y[worst] - truth.y[worst]).norm() < 0.1 * (data.y[worst] - truth.y[worst]).norm()


def test_array_has_no_equation_to_ask(with_model):
    np.save(with_model.folder / "x.npy", np.full((1, 11, 11), 3.0))
    done = with_model("predict", f"run={with_model.trained}", "data=x.npy", "tolerance=0.1")
    assert done.code == 2
    assert "array without an equation" in done.err
