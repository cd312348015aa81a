"""`pdesolve solve` as a user types it."""

import json

import pytest

from pdesolve.cli.main import main

MINE = """
import torch
from pdesolve import Grid
from pdesolve.gp import dirichlet

grid = Grid((40,), (1.0,), False)


def equation(d, u, *, source):
    return d(u, (2,)) - d(source, (0,))


def exact(x):
    return torch.sin(7 * x)


def source(x):
    return -49 * torch.sin(7 * x)


boundary = {(0, "low"): dirichlet(exact), (0, "high"): dirichlet(exact)}
"""


def run(folder, *arguments):
    return main(["solve", *arguments, f"hydra.run.dir={folder}"])


def test_a_named_problem_leaves_figures_and_report(tmp_path):
    assert run(tmp_path, "problem=poisson_1d_mix_sin") == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["error/l2"] < 1e-9 and metrics["residual/midpoint"] < 1e-9
    assert metrics["seconds"] > 0
    assert metrics["reference/chebyshev_collocation/error/l2"] < 1e-6
    assert metrics["reference/finite_differences/error/l2"] > metrics["error/l2"]
    report = (tmp_path / "report.html").read_text()
    for words in ("Chebyshev collocation", "finite differences", "lines", "residual"):
        assert words in report
    for name in ("field", "spectrum", "candidates"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_a_users_own_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    assert run(tmp_path / "run", f"file={file}", "rivals=false") == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["error/l2"] < 1e-9


def test_a_key_of_a_problem_can_be_changed(tmp_path):
    arguments = ("problem=poisson_1d_mix_sin", "problem.solution='sin(9*x)'", "problem.shape=[60]")
    assert run(tmp_path, *arguments, "rivals=false") == 0


def test_an_unresolved_solution_is_a_numerical_failure_with_a_report(tmp_path, capsys):
    arguments = ("problem=poisson_1d_sin_cos", "problem.shape=[70]", "rivals=false")
    assert run(tmp_path, *arguments) == 4
    assert "refine the grid" in capsys.readouterr().err
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give problem=NAME or file=MINE.py"),
        (("problem=poisson_1d_sin_cosine",), "did you mean poisson_1d_sin_cos"),
        (("file=nowhere.py",), "does not exist"),
    ],
)
def test_wrong_usage_says_what_to_type(arguments, message, tmp_path, capsys):
    assert run(tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err
