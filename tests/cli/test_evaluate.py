import json

import pytest


def test_a_saved_model_scores_what_its_training_run_reported(with_model):
    done = with_model("evaluate", f"run={with_model.trained}")
    assert done.code == 0, done.err
    there = json.loads((with_model.trained / "metrics.json").read_text())
    here = json.loads((done.run / "metrics.json").read_text())
    estimated = {k: v for k, v in here.items() if "estimated" in k}
    assert set(estimated) >= {"test/estimated", "test/estimated_ratio"}
    run = {"seconds", "parameters"}
    assert {k: v for k, v in there.items() if k not in run} | estimated == here
    assert "What no residual sees" in (done.run / "report.html").read_text()
    header, *rows = (done.run / "errors.csv").read_text().split()
    assert header == "sample,l2,estimated"
    errors = [float(row.split(",")[1]) for row in rows]
    assert sum(errors) / len(errors) == pytest.approx(here["test/l2"], rel=1e-5)


def test_another_split_is_judged_on_request(with_model):
    done = with_model("evaluate", f"run={with_model.trained}", "split=train")
    assert json.loads((done.run / "metrics.json").read_text())["test/samples"] == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run=nowhere"], "has no config.yaml and model/"),
        ([], "run"),
    ],
)
def test_a_run_that_is_none_is_refused(pdesolve, arguments, message):
    done = pdesolve("evaluate", *arguments)
    assert done.code == 2
    assert message in done.err


def test_a_config_that_reads_the_environment_is_refused(with_model):
    config = with_model.trained / "config.yaml"
    config.write_text(config.read_text() + "\nsecret: ${oc.env:HOME}\n")
    done = with_model("evaluate", f"run={with_model.trained}")
    assert done.code == 2
    assert "interpolation" in done.err
