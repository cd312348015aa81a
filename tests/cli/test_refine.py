import json

import numpy as np
import pytest


def refined(shell, *arguments):
    done = shell("refine", f"run={shell.trained}", "progress=false", *arguments)
    assert done.code == 0, done.err
    return json.loads((done.run / "metrics.json").read_text()), done.run


def test_sweep_is_compared_with_prediction_and_classical_solver(with_model):
    metrics, run = refined(with_model, "samples=3", "stride=1")
    before = metrics["reference/prediction/test/l2"]
    assert metrics["test/l2"] < 0.1 * before
    assert abs(metrics["reference/prediction/test/estimated"] / before - 1) < 0.2
    assert metrics["reference/classical_solver/test/l2"] < 1e-5
    assert metrics["test/samples"] == 3
    assert np.load(run / "refined.npy").shape == (3, 1, 17, 17)
    page = (run / "report.html").read_text()
    for words in ("What no residual sees", "the grid", "the equation", "classical solver",
                  "more accurate than"):  # fmt: skip
        assert words in page


def test_estimate_leaves_the_predictions(with_model):
    metrics, _ = refined(with_model, "method=estimate", "samples=2")
    assert metrics["test/l2"] == metrics["reference/prediction/test/l2"]
    assert metrics["test/accepted"] == 1


def test_tolerance_accepts_what_is_good_enough(with_model):
    metrics, _ = refined(with_model, "tolerance=10", "samples=2")
    assert metrics["test/accepted"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("split=nothing",), "no split 'nothing'"),
        (("tolerance=small",), "expected a number or null"),
        (("samples=0",), "samples is 0"),
        (("path=nowhere",), "nowhere does not exist"),
        (("method=tune",), "solves for the whole error"),
    ],
)
def test_what_cannot_be_refined_is_refused(with_model, arguments, words):
    done = with_model("refine", f"run={with_model.trained}", "progress=false", *arguments)
    assert done.code == 2
    assert words in done.err
