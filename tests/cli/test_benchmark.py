import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pdesolve.cli.benchmark import alone
from pdesolve.cli.configs import config_folder
from pdesolve.cli.failures import UsageError
from pdesolve.cli.suites import costs, floor, process, trained, verb
from pdesolve.cli.suites.composed import composed
from pdesolve.cli.suites.marked import markers
from pdesolve.cli.suites.plan import planned
from pdesolve.cli.suites.suite import read_models, read_suite

FOLDER = config_folder() / "benchmark"
SIZES = [
    (path.stem, size)
    for path in sorted(FOLDER.glob("*.yaml"))
    for size in yaml.safe_load(path.read_text())["sizes"]
]
# Composing the configs of all models takes seconds.
QUICK = {("gp", "smoke"), ("speed", "cpu")}
BROKEN = """\
label: broken on purpose
operator: {_target_: pdesolve.operators.TFNO, modes: [4, 4], width: 4, groups: 3}
"""
TIMES = {"seconds", "inference_milliseconds"}


@pytest.fixture
def suite(pdesolve, made_once):
    """Return a shell in a folder with the small data of the suite and a broken model."""
    shutil.copytree(made_once / "data/darcy_demo", pdesolve.folder / "data/darcy_benchmark_smoke")
    (pdesolve.folder / "mine").mkdir()
    (pdesolve.folder / "mine/broken.yaml").write_text(BROKEN)
    (pdesolve.folder / "benchmarks").mkdir()
    readme = "\n".join(["by hand", *markers("darcy smoke"), ""])
    (pdesolve.folder / "benchmarks/README.md").write_text(readme)
    return pdesolve


def records(shell):
    files = sorted(shell.folder.glob("benchmarks/results/darcy/smoke/*.json"))
    return {file.name.partition(".")[0]: json.loads(file.read_text()) for file in files}


def test_a_broken_model_has_a_row_that_says_why_and_the_suite_goes_on(suite, monkeypatch):
    monkeypatch.setattr(process, "PRELOADED", [])  # More than two rows that train nothing need.
    command = ("benchmark", "suite=darcy", "size=smoke", "model_folder=mine", "progress=false")
    only = ("models=[broken,training_mean]", "variants=[epochs]")
    done = suite(*command, *only)
    assert done.code == 5
    assert "1 of 2 rows of darcy failed, the first, broken" in done.err
    assert "training mean" in done.out and "Equal epochs" in done.out
    kept = records(suite)
    assert kept["broken"]["status"] == "failed"
    assert "groups" in kept["broken"]["reason"]
    assert kept["training_mean"]["figures"]["test/l2"] > 0
    told = (suite.folder / "benchmarks/README.md").read_text()
    assert told.startswith("by hand\n")
    assert "| broken on purpose |" in told
    assert (
        "broken on purpose" in (suite.folder / "runs/benchmark/darcy/smoke/report.html").read_text()
    )

    before = (suite.folder / "benchmarks/README.md").stat().st_mtime_ns
    again = suite(*command, "models=[training_mean]", "variants=[epochs]")
    assert again.code == 0
    assert records(suite)["training_mean"] == kept["training_mean"]  # Not run again.
    assert (suite.folder / "benchmarks/README.md").stat().st_mtime_ns > before


@pytest.fixture
def task(suite, monkeypatch):
    """Return the task of a small model's row of equal epochs."""
    monkeypatch.chdir(suite.folder)
    small = ["operator.width=4", "operator.modes=[6,6]", "trainer.epochs=1", "trainer.batch_size=4"]
    data = ["dataset=darcy_demo", "dataset.path=data/darcy_benchmark_smoke", "progress=false"]
    return {"config": composed("train", [*data, *small]), "seconds": None}


def untimed(found):
    return {name: value for name, value in found["figures"].items() if name not in TIMES}


def test_a_row_of_equal_epochs_run_twice_has_the_same_figures_to_the_last_digit(task, tmp_path):
    first, second = (trained.figures(task, 3, tmp_path / name) for name in ("a", "b"))
    assert untimed(first) == untimed(second)
    found = set(untimed(first))
    assert {"test/l2", "test/h1", "test/band_low", "test/residual", "test@17/l2"} <= found
    assert {"test/estimated", "conformal/coverage", "parameters", "step_bytes"} <= found
    other = trained.figures(task, 4, tmp_path / "c")
    assert untimed(other)["test/l2"] != untimed(first)["test/l2"]


def test_a_row_of_equal_time_keeps_the_epochs_it_was_given(task, tmp_path):
    (tmp_path / "epochs.json").write_text("2")
    found = trained.figures(task | {"seconds": 1e9}, 0, tmp_path)
    assert found["figures"]["epochs"] == 2
    assert found["figures"]["steps"] == 6  # 12 samples, 4 a batch


def test_a_learning_rate_is_judged_by_the_validation_split_alone(task, tmp_path):
    searched = task | {"judged": "valid"}
    found = trained.figures(searched, 0, tmp_path / "a")["figures"]
    assert set(found) == {"valid/l2", "epochs"}
    log = (tmp_path / "a/log.jsonl").read_text().splitlines()
    assert found["valid/l2"] == json.loads(log[-1])["valid/l2"]


@pytest.mark.parametrize("seconds", [None, 1.0])
def test_a_learning_rate_that_diverges_is_found_and_no_failure(task, tmp_path, seconds):
    task["config"]["optimizer"]["lr"] = 1e30
    searched = task | {"judged": "valid", "seconds": seconds}
    found = trained.figures(searched, 0, tmp_path)["figures"]
    assert set(found) == {"diverged"}
    assert "not finite" in found["diverged"]


def test_fewer_samples_have_as_many_steps(task, tmp_path):
    task["config"]["trainer"] |= {"epochs": 3, "batch_size": 5}
    task["config"]["dataset"]["train_samples"] = 4
    found = trained.figures(task | {"steps_of": 12}, 0, tmp_path)["figures"]
    assert found["steps"] == 9  # Three epochs of three batches; now nine of one.


def test_two_suites_do_not_share_a_folder(tmp_path):
    refused = pytest.raises(UsageError, match="another benchmark is at work")
    with alone(tmp_path), refused, alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.slow
def test_a_tiny_budget_is_one_epoch(task, tmp_path):
    assert trained.figures(task | {"seconds": 1e-9}, 0, tmp_path)["figures"]["epochs"] == 1


def test_the_row_of_the_training_mean_has_the_figures_of_the_report(task, tmp_path, made_once):
    found = floor.figures(task | {"predictor": "training_mean"}, 0, tmp_path)["figures"]
    trained_metrics = json.loads((made_once / "trained/metrics.json").read_text())
    assert found["test/l2"] == pytest.approx(trained_metrics["reference/training_mean/test/l2"])


def test_cost_by_grid_has_the_exponents_of_its_growth(task, tmp_path):
    found = costs.figures(task | {"grids": [9, 18]}, 0, tmp_path)["figures"]
    # Four times the points hold about four times the numbers.
    assert 0.6 < found["exponent/step_bytes"] < 1.2
    assert found["parameters@9"] == found["parameters@18"]


def test_a_grid_that_a_model_cannot_take_leaves_its_reason(task, tmp_path):
    operator = {"_target_": "pdesolve.operators.MGTFNO", "modes": [4, 4], "width": 4, "levels": 1}
    task["config"]["operator"] = operator
    found = costs.figures(task | {"grids": [9, 12]}, 0, tmp_path)["figures"]
    assert "9" in found["refused@9"]
    assert found["step_seconds@12"] > 0


def test_a_verb_runs_on_the_model_that_is_trained_once_for_all_its_rows(tmp_path, monkeypatch):
    calls = []

    def main(arguments):
        calls.append(arguments)
        run = Path(arguments[-1].removeprefix("hydra.run.dir="))
        run.mkdir(parents=True)
        (run / "metrics.json").write_text('{"test/l2": 0.1}')
        return 0

    monkeypatch.setattr("pdesolve.cli.main.main", main)
    for name in ("a", "b"):
        given = {"verb": "refine", "overrides": [f"method={name}"], "train": ["operator=tfno"]}
        row = tmp_path / "rows" / name
        row.mkdir(parents=True)
        found = verb.figures(given, 0, row)["figures"]
        assert found["test/l2"] == 0.1
    assert [(call[0], call[1]) for call in calls] == [
        ("train", "operator=tfno"), ("refine", "method=a"), ("refine", "method=b"),
    ]  # fmt: skip
    runs = [next(one for one in call if one.startswith("run=")) for call in calls[1:]]
    assert runs[0] == runs[1]


def test_a_verb_that_fails_ends_with_its_own_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        verb.figures({"verb": "solve", "overrides": ["problem=none"]}, 0, tmp_path / "row")
    assert ended.value.code == 2
    assert "no problem 'none'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_suite_goes_on_to_the_same_figures(suite):
    command = [sys.executable, "-m", "pdesolve", "benchmark", "suite=darcy", "size=smoke"]
    command += ["models=[fno]", "variants=[epochs]"]
    killed = subprocess.Popen(command, cwd=suite.folder)
    while not list(suite.folder.glob("runs/benchmark/darcy/smoke/rows/*/checkpoints/*")):
        time.sleep(0.01)
    killed.terminate()
    assert killed.wait(120) in (143, 0)
    assert subprocess.run(command, cwd=suite.folder).returncode == 0
    gone_on = records(suite)["fno"]["figures"]
    shutil.rmtree(suite.folder / "runs")
    shutil.rmtree(suite.folder / "benchmarks/results")
    assert subprocess.run(command, cwd=suite.folder).returncode == 0
    at_once = records(suite)["fno"]["figures"]
    assert {k: v for k, v in gone_on.items() if k not in TIMES} == {
        k: v for k, v in at_once.items() if k not in TIMES
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in SIZES],
)
def test_every_row_of_every_suite_has_a_config(name, size):
    rows = planned(read_suite(name, size), threads=1, allow=())
    broken = {
        r.model: r.task["config"]["broken"] for r in rows if "broken" in r.task.get("config", {})
    }
    assert not broken
    assert len({row.name for row in rows}) == len(rows)
    assert len({row.key for row in rows}) == len(rows)


def test_a_model_is_one_file_that_names_its_operator_or_is_it(suite):
    (model,) = read_models([suite.folder / "mine"])
    assert model.operator["_target_"] == "pdesolve.operators.TFNO"
    named = {m.name: m.operator for m in read_models([config_folder() / "benchmark/model"])}
    assert named["mgno"] == "mgno"


def test_overrides_of_an_operator_that_a_model_brings_are_its_own():
    operator = {"_target_": "my_package.Mine", "width": 32}
    overrides = ["operator.alpha=2e-3", "operator.width=24", "operator.modes=[4,4]"]
    config = composed("train", [*overrides, "optimizer.lr=2e-3"], operator)
    assert config["operator"] == operator | {"alpha": 2e-3, "width": 24, "modes": [4, 4]}
    assert config["optimizer"]["lr"] == 2e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("suite=darcie",), "did you mean darcy?"),
        (("suite=darcy", "size=huge"), "suite darcy has no size 'huge'"),
        (("suite=darcy", "run=false", "models=[tfn]"), "models are ['tfn'], expected some of"),
        (("suite=darcy", "run=false", "model_folder=none"), "model_folder none is not there"),
        (("suite=darcy", "run=maybe"), "run is 'maybe', expected true or false"),
        (("suite=darcy", "threads=0"), "threads is 0, expected an integer >= 1"),
        (("suite=darcy", "workers=x"), "workers is 'x', expected an integer >= 1"),
        (("suite=darcy", "limit=-1"), "limit is -1, expected seconds > 0"),
        (("suite=darcy", "models=tfno"), "'models=[tfno]'"),
    ],
)
def test_what_is_not_there_is_a_usage_error(pdesolve, arguments, words):
    done = pdesolve("benchmark", *arguments)
    assert done.code == 2
    assert words in done.err
