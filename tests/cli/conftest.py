"""The command line as a user types it, in an empty folder, on a small data set."""

import sys
from types import SimpleNamespace

import pytest

from pdesolve.cli.main import main

SMALL_SET = [
    "dataset=darcy_demo",
    "dataset.grid.shape=[17,17]",
    "dataset.samples={train: 12, valid: 4, test: 4}",
    "progress=false",
]
SMALL_MODEL = ["operator.width=4", "operator.modes=[6,6]", "trainer.epochs=2"]


@pytest.fixture
def pdesolve(tmp_path, monkeypatch, capsys):
    """Return `run(*arguments)`: its exit code, output, error output and run folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "argv", ["pdesolve"])

    def run(*arguments: str) -> SimpleNamespace:
        code = main(list(arguments))
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        out, err = capsys.readouterr()
        last = out.strip().splitlines()[-1] if out.strip() else ""
        return SimpleNamespace(code=code, out=out, err=err, folder=tmp_path / last)

    return run


@pytest.fixture
def small_set(pdesolve):
    made = pdesolve("generate", *SMALL_SET)
    assert made.code == 0, made.err
    return made
