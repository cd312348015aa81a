"""The command line as a user types it, in an empty folder, on a small data set."""

import io
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from pdesolve.cli.main import main


class Shell:
    """Calls `pdesolve ...` in one folder and keeps what it printed."""

    small_set = (
        "dataset=darcy_demo",
        "dataset.grid.shape=[17,17]",
        "dataset.samples={train: 12, valid: 4, test: 4}",
        "progress=false",
    )
    tiny_set = (
        "dataset=poisson_demo",
        "dataset.grid.shape=[9,9]",
        "dataset.samples={train: 12, valid: 3, test: 4}",
        "block=2",
        "progress=false",
    )
    small_flow = (
        "dataset=navier_stokes_demo",
        "dataset.equation.modes=16",
        "dataset.equation.times=[1,2,3,4,5]",
        "dataset.grid.shape=[16,16]",
        "dataset.samples={train: 3, valid: 2, test: 2}",
        "progress=false",
    )
    small_run = (
        "experiment=darcy/demo",
        "operator.width=4",
        "operator.modes=[6,6]",
        "trainer.epochs=2",
        "progress=false",
    )

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, *arguments: str) -> SimpleNamespace:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
            patched.chdir(self.folder)
            patched.delenv("HYDRA_FULL_ERROR", raising=False)
            patched.setattr(sys, "argv", ["pdesolve"])
            code = main(list(arguments))
        lines = out.getvalue().strip().splitlines() or [""]
        run = self.folder / lines[-1]
        return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue(), run=run)


@pytest.fixture
def pdesolve(tmp_path):
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return a folder with the small data set and a model trained on it."""
    shell = Shell(tmp_path_factory.mktemp("made_once"))
    made = shell("generate", *shell.small_set)
    assert made.code == 0, made.err
    trained = shell("train", *shell.small_run, "hydra.run.dir=trained")
    assert trained.code == 0, trained.err
    return shell.folder


@pytest.fixture(scope="session")
def tiny_hash(tmp_path_factory):
    """Return the data hash of the set of `Shell.tiny_set`, made in one go."""
    shell = Shell(tmp_path_factory.mktemp("tiny"))
    made = shell("generate", *shell.tiny_set)
    assert made.code == 0, made.err
    manifest = shell.folder / "data/poisson_demo/MANIFEST.json"
    return json.loads(manifest.read_text())["data_hash"]


@pytest.fixture(scope="session")
def flow_made_once(tmp_path_factory):
    """Return a folder with a small set of several times."""
    shell = Shell(tmp_path_factory.mktemp("flow_made_once"))
    made = shell("generate", *shell.small_flow)
    assert made.code == 0, made.err
    return shell.folder


@pytest.fixture
def with_flow(pdesolve, flow_made_once):
    shutil.copytree(flow_made_once, pdesolve.folder, dirs_exist_ok=True)
    return pdesolve


@pytest.fixture
def with_data(pdesolve, made_once):
    shutil.copytree(made_once / "data", pdesolve.folder / "data")
    return pdesolve


@pytest.fixture
def with_model(with_data, made_once):
    with_data.trained = with_data.folder / "trained"
    shutil.copytree(made_once / "trained", with_data.trained)
    return with_data
