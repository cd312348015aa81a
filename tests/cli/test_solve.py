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


NOISY = """
import torch
from pdesolve import Grid

grid = Grid((30, 31), (1.0, 1.0), False)
boundary = 0.0


def exact(x, y):
    return torch.sin(3 * torch.pi * x) * torch.sin(2 * torch.pi * y)


def equation(d, u, *, source):
    return d(u, (2, 0)) + d(u, (0, 2)) - d(source, (0, 0))


_white = torch.randn(30, 31, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
source = -13 * torch.pi**2 * exact(*grid.coordinates()) + 1.5 * _white
"""


def test_a_noisy_source_on_a_grid_has_its_level_and_the_error_told(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(NOISY)
    assert run(tmp_path / "run", f"file={file}", "rivals=false") == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["noise"] == pytest.approx(1.5, rel=0.1)
    # The estimate is of the typical error, and one draw of noise may have a third of it or thrice.
    assert 1 / 3 < metrics["error/estimated"] / metrics["error/l2"] < 3
    assert metrics["error/l2"] < 0.02


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return d(u, (2,))", "return d(u, (2,)", "line 10 with SyntaxError: '(' was never closed"),
        ("import torch", "import torchh", "line 2 with ModuleNotFoundError: No module named 'tor"),
        ("-49 * torch", "-49 * trch", "line 18 with NameError: name 'trch' is not defined; expec"),
        ("d(u, (2,))", "u.xx", "line 10 with AttributeError: 'Token' object has no attribute 'xx'"),
        ("d(u, (2,))", "d(u, (2, 0))", "solve: the residual asks for orders (2, 0) on a grid of 1"),
        ("def equation", "def equatoin", "does not set equation, expected"),
        ("Grid((40,)", "Grid((5,)", "grid has (5,) points, expected at least 8 an axis: refine"),
        ("def source(x)", "def source(x, y)", "source is a function that cannot be called with 1"),
        ("def exact(x)", "def exact(x, y)", "exact is a function that cannot be called with 1 co"),
        ("def exact(x)", "exact = 3\ndef other(x)", "exact is 3 in "),
        ("-49 * torch.sin(7 * x)", "torch.sqrt(x - 0.5)", "source has a NaN or infinity on the g"),
        ("grid =", "tolerance = 0\ngrid =", "tolerance is 0, expected a positive"),
        ("def equation", "raise SystemExit(0)\ndef equation", "line 9 with SystemExit: 0; expec"),
    ],
)
def test_mistakes_in_a_users_file_are_told_without_traceback(old, new, message, tmp_path, capsys):
    file = tmp_path / "mine.py"
    assert old in MINE
    file.write_text(MINE.replace(old, new))
    assert run(tmp_path / "run", f"file={file}", "rivals=false") == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("spacing=1.2", 2, "spacing is 1.2, expected 1.5 to 10.0 teeth per 1 / length: leave it"),
        ("tolerance=-1", 2, "tolerance is -1, expected a positive number"),
        ("problem.lengths=-1", 2, "lengths[0] is -1.0, expected a positive number"),
        # 106 and 94 waves are 8 and 4 both on 50 nodes and on the 49 points between them.
        ("problem.shape=[50]", 4, "away from nodes and midpoints the residual is"),
    ],
)
def test_wrong_settings_of_a_named_problem(override, code, message, tmp_path, capsys):
    assert run(tmp_path, "problem=poisson_1d_sin_cos", override, "rivals=false") == code
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_ill_posed_data_are_told_once(tmp_path, capsys):
    arguments = ("problem.conditions=[cauchy,dirichlet]", "problem.shape=[18,18]",
                 "problem.solution='sin(3*x)*cos(2*y)'")  # fmt: skip
    assert run(tmp_path, "problem=poisson_2d_sin_sin", *arguments, "rivals=false") == 4
    said = capsys.readouterr().err
    assert said.count("give data at both ends") == 1 and "gp_solve(" not in said


def test_notes_of_a_converged_solution_are_printed(tmp_path, capsys):
    arguments = ("problem=poisson_1d_sin_cos", "problem.shape=[120]", "rivals=false")
    assert run(tmp_path, *arguments) == 0
    assert "points per wavelength, fewer than 2.4" in capsys.readouterr().err
