import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import pdesolve as package
from pdesolve.cli.train import new_model, numbers_of
from pdesolve.datasets import from_arrays
from pdesolve.operators import STFNO


def metrics_of(run):
    return json.loads((run.run / "metrics.json").read_text())


def test_a_run_folder_tells_the_whole_story(with_model):
    names = {p.name for p in with_model.trained.iterdir()}
    assert {"config.yaml", "metrics.json", "log.jsonl", "model", "checkpoints"} <= names
    assert {"report.html", "loss_curves.png", "worst_sample.png", "spectra.png"} <= names
    metrics = json.loads((with_model.trained / "metrics.json").read_text())
    assert {"test/l2", "test/h1", "test/max", "test/residual", "test@17/l2"} <= set(metrics)
    assert metrics["reference/training_mean/test/l2"] > 0
    assert len((with_model.trained / "log.jsonl").read_text().splitlines()) == 2


def test_the_saved_model_predicts_physical_fields(with_model):
    model = package.load(with_model.trained / "model")
    with torch.no_grad():
        y = model(torch.full((1, 1, 9, 9), 12.0))
    assert y.shape == (1, 1, 9, 9)
    assert y[0, 0, 0].abs().max() == 0  # the wall factor


def test_a_finished_run_is_gone_on_with_without_training(with_model):
    again = with_model("train", *with_model.small_run, f"hydra.run.dir={with_model.trained}")
    assert again.code == 0
    assert again.run == with_model.trained
    assert len((again.run / "log.jsonl").read_text().splitlines()) == 2


def test_training_starts_from_a_saved_model(with_model):
    done = with_model(
        "train", *with_model.small_run, f"init={with_model.trained}/model", "optimizer.lr=0"
    )
    before = package.load(with_model.trained / "model").state_dict()
    after = package.load(done.run / "model").state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_sweep_shows_its_runs_side_by_side(with_data):
    done = with_data("train", *with_data.small_run, "trainer.epochs=1", "-m", "seed.init=0,1")
    assert done.code == 0, done.err
    assert "mean" in done.out
    assert "std" in done.out
    assert len(list(with_data.folder.glob("runs/train/*/*/*/metrics.json"))) == 2


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_neuraloperator_runs_by_its_target_alone(with_data):
    done = with_data(
        "train", "dataset=darcy_demo", "operator=baseline/fno", "operator.n_modes=[4,4]",
        "operator.hidden_channels=4", "trainer.epochs=1", "progress=false",
    )  # fmt: skip
    assert done.code == 0, done.err
    again = with_data("evaluate", f"run={done.run}")
    assert again.code == 0, again.err
    assert metrics_of(again)["test/l2"] == pytest.approx(metrics_of(done)["test/l2"], rel=1e-6)


def test_a_run_at_scattered_points_is_judged_without_a_grid(pdesolve):
    random = np.random.default_rng(0)
    places, code = random.random((30, 2, 12)), random.random((3, 12))
    folder = pdesolve.folder / "points"
    folder.mkdir()
    # The stress depends on the place alone, so that it can be learned and has a mean.
    for name, values in (("XY", places), ("sigma", 1 + places[:, 0]), ("rr", code)):
        np.save(folder / f"{name}.npy", values.astype("float32"))
    done = pdesolve(
        "train", "experiment=elasticity/lsm", "dataset.path=points", "dataset.points=[8,4]",
        "operator.width=4", "operator.heads=2", "operator.scales=2", "operator.shape=[8,8]",
        "operator.modes=[4,3]", "operator.patch=2", "operator.map_width=4", "trainer.epochs=2",
        "progress=false",
    )  # fmt: skip
    assert done.code == 0, done.err
    figures = json.loads((done.run / "metrics.json").read_text())
    stress = 1 + places[:, 0].T
    wrong = np.linalg.norm(stress[8:] - stress[:8].mean(), axis=1) / np.linalg.norm(
        stress[8:], axis=1
    )
    assert figures["reference/training_mean/test/l2"] == pytest.approx(wrong.mean(), rel=1e-5)
    assert "30 points" in (done.run / "report.html").read_text()
    again = pdesolve("evaluate", f"run={done.run}", "progress=false")
    found = json.loads((again.run / "metrics.json").read_text())
    assert found["test/l2"] == pytest.approx(figures["test/l2"], rel=1e-6)
    refused = pdesolve("predict", f"run={done.run}", "data=points")
    assert refused.code == 2 and "scattered points" in refused.err


def test_an_operator_that_normalizes_itself_sees_physical_fields():
    node = {"_target_": "pdesolve.operators.STFNO", "modes": [4, 4, 4], "width": 4}
    config = OmegaConf.create({"operator": node, "allow": []})
    frames = torch.randn(2, 3, 6, 6)
    model = new_model(config, from_arrays(frames[:, :2], frames[:, 2:], periodic=(True, True)))
    assert type(model) is STFNO
    assert (model.in_channels, model.out_channels) == (2, 1)


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["operator.widht=3"], 2, "did you mean operator.width"),
        (["experiment=darcy/dmo"], 2, "did you mean darcy/demo"),
        (["operator._target_=os.system"], 2, "outside"),
        (["operator.modes=[6]"], 2, "modes"),
        (["trainer.epochs=0"], 2, "epochs is 0"),
        (["dataset.path=data/nowhere"], 2, "pdesolve generate dataset=darcy_demo"),
        (["dataset.stride=3"], 3, "stride"),
        (["operator.width=abc"], 2, "cannot be built"),
        (["+operator.foo=1"], 2, "foo"),
        (["operator._target_=torch.optim.AdamW"], 2, "cannot be built"),
        (["optimizer.lr=1e9"], 4, "not finite"),
    ],
)
def test_bad_input_gets_a_clear_error(with_data, overrides, code, message):
    done = with_data("train", *with_data.small_run, *overrides)
    assert done.code == code, done.err
    assert message in done.err
    assert "Traceback" not in done.err


def test_allow_from_a_file_is_refused():
    from omegaconf import OmegaConf

    from pdesolve.cli.application import refuse_allow_from_file
    from pdesolve.cli.failures import UsageError

    config = OmegaConf.create({"allow": ["evil"]})
    refuse_allow_from_file(config, ["allow=[evil]"])
    with pytest.raises(UsageError, match="only be given on the command line"):
        refuse_allow_from_file(config, ["operator=tfno"])


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_and_the_command_to_go_on(with_data, signum, code):
    folder = with_data.folder / "interrupted"
    command = [sys.executable, "-m", "pdesolve", "train", *with_data.small_run]
    command += ["trainer.epochs=100000", f"hydra.run.dir={folder}"]
    process = subprocess.Popen(command, cwd=with_data.folder, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("checkpoints/step*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signum)
    err = process.communicate(timeout=30)[1]
    assert process.returncode == code, err
    assert "go on with `pdesolve train" in err
    assert "Traceback" not in err
    assert list(folder.glob("checkpoints/step*"))


def test_complex_weights_count_as_two_real_numbers():
    weights = torch.nn.ParameterList([torch.zeros(3), torch.zeros(2, 5, dtype=torch.complex64)])
    assert numbers_of(weights) == 3 + 2 * 10
