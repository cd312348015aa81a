"""`pdesolve solve problem=NAME`: an equation solved without data by a Gaussian process."""

import runpy
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import application
from .failures import UsageError

_IN_A_SOLVE = (
    "differentiable torch code that broadcasts over its coordinates and reads unknown and fields "
    "as d(u, orders)"
)


def main(arguments: Sequence[str]) -> None:
    """Run the verb."""
    application.run("solve", solve, arguments)


@dataclass(frozen=True)
class Given:
    """A problem as `gp.solve` takes it, with its solution where it is known."""

    name: str
    equation: Any
    grid: Any
    tolerance: float
    data: Mapping[str, Any] = field(default_factory=dict)
    exact: Callable[..., Any] | None = None
    published: float | None = None
    path: Path | None = None


def solve(config: Any, folder: Path) -> dict[str, float]:
    """Solve, compare with classical methods, and write field, figures and report.

    Raises:
        UsageError: neither a problem nor a file is given, or both are.
        ConvergenceError: the residual is above the tolerance; the report is written all the same.
    """
    from ..gp.solve import solve as gp_solve

    given = _given(config)
    started = time.perf_counter()
    with _blaming(given.path, _IN_A_SOLVE), warnings.catch_warnings():
        # The solution holds them; they are told once, below.
        warnings.simplefilter("ignore", UserWarning)
        solution = gp_solve(
            given.equation, given.grid, **given.data,
            spacing=config.spacing, tolerance=given.tolerance, raise_on_failure=False,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    for note in solution.warnings if solution.converged else ():
        print(f"pdesolve solve: {note}", file=sys.stderr)
    metrics = {
        "residual/midpoint": float(solution.stats["residual"]),
        "residual/boundary": float(solution.stats["boundary"]),
        "candidates": float(len(solution.candidates)),
        "seconds": seconds,
    }
    if solution.std is not None:
        metrics["error/estimated"] = float(solution.std.norm() / solution.value.norm())
    if solution.stats["noise"] > 0:
        metrics["noise"] = float(solution.stats["noise"])
    if given.exact is not None:
        with _blaming(given.path, _IN_A_SOLVE):
            metrics["error/l2"] = _error(solution.at, given)
    references = _rivals(given) if config.rivals else {}
    if given.published is not None:
        references["published GP-HM"] = {"error/l2": given.published}
    figures = _write(folder, config, given, solution, metrics, references)
    solution.checked()
    return figures


def _given(config: Any) -> Given:
    from .build import build

    if (config.get("problem") is None) == (config.file is None):
        raise UsageError(
            "give problem=NAME or file=MINE.py, one of them: see pdesolve solve --help"
        )
    if config.file is not None:
        return _from_file(Path(config.file), config.tolerance)
    problem = build(config.problem, allow=config.allow)
    tolerance = problem.tolerance if config.tolerance is None else config.tolerance
    from hydra.core.hydra_config import HydraConfig

    name = str(HydraConfig.get().runtime.choices["problem"])
    return Given(
        name, problem.residual, problem.grid, tolerance,
        {"source": problem.source, "boundary": problem.boundary}, problem.exact, problem.reference,
    )  # fmt: skip


def _from_file(path: Path, tolerance: float | None) -> Given:
    """Run the user's own file, which the command line names, and take its variables."""
    if not path.is_file():
        state = "is no file" if path.exists() else "does not exist"
        raise UsageError(
            f"file {path} {state}, expected a Python file that sets equation and grid: see "
            '"Solve without data" in the README'
        )
    from ..gp.problem import check_arguments

    with _blaming(path, "Python that runs by itself"):
        names = runpy.run_path(str(path))
    missing = [name for name in ("equation", "grid") if name not in names]
    if missing:
        raise UsageError(
            f"file {path} does not set {' and '.join(missing)}, expected an equation "
            "(a function residual(d, u, *, source)) and a pdesolve.Grid"
        )
    exact = names.get("exact")
    if exact is not None and not callable(exact):
        raise UsageError(
            f"exact is {exact!r} in {path}, expected a function of the coordinates: write one, or "
            "leave exact out"
        )
    check_arguments("exact", exact, getattr(names["grid"], "dims", 1))
    wanted = tolerance if tolerance is not None else names.get("tolerance", 1e-6)
    taken = ("source", "boundary", "fields", "noise")
    data = {name: names[name] for name in taken if name in names}
    return Given(path.stem, names["equation"], names["grid"], wanted, data, exact, path=path)


@contextmanager
def _blaming(path: Path | None, expected: str) -> Iterator[None]:
    """Turn what goes wrong in the lines of a user's file into a UsageError that names the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = str(Path(__file__).resolve().parents[1])
        if isinstance(error, ValueError) and frames[-1].filename.startswith(ours):
            raise  # it says what to do
        lines = [f.lineno for f in frames if path is not None and f.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines.append(error.lineno)
        if not lines:
            raise
        said = error.msg if isinstance(error, SyntaxError) else error
        raise UsageError(
            f"file {path} fails in line {lines[-1]} with {type(error).__name__}: {said}; expected "
            f"{expected}: mend that line"
        ) from error


def _error(at: Callable[..., Any], given: Given) -> float:
    from ..gp.manufactured import error

    assert given.exact is not None
    return error(at, given.exact, given.grid)


def _rivals(given: Given) -> dict[str, dict[str, float]]:
    """Return the figures of classical collocation on as many nodes."""
    from ..gp.classical import Chebyshev, Differences, solve_classical
    from ..gp.misfit import misfits
    from ..gp.problem import problem_of

    problem = problem_of(given.equation, given.grid, **given.data)
    if any(given.grid.periodic):
        return {}
    found = {}
    for name, kind in (("Chebyshev collocation", Chebyshev), ("finite differences", Differences)):
        started = time.perf_counter()
        expansion = solve_classical(problem, kind)
        figures = {"seconds": time.perf_counter() - started}
        if given.exact is not None:
            figures["error/l2"] = _error(expansion, given)
        if kind is Chebyshev:
            figures["residual/midpoint"], figures["residual/boundary"] = misfits(problem, expansion)
        found[name] = figures
    return found


def _write(
    folder: Path,
    config: Any,
    given: Given,
    solution: Any,
    metrics: dict[str, float],
    references: dict[str, dict[str, float]],
) -> dict[str, Any]:
    import numpy as np
    from omegaconf import OmegaConf

    from ..evaluation.report import Findings, environment, flat_metrics, write_report
    from .solve_pictures import pictures

    np.save(folder / "solution.npy", solution.value.cpu().numpy())
    chosen = next(line for line in solution.candidates if line["chosen"])
    points = " x ".join(map(str, given.grid.shape))
    findings = Findings(
        title=given.name.replace("_", " "),
        summary=(
            f"Solved on {points} points without data by a Gaussian process with the prior "
            f'"{chosen["prior"]}", {chosen["functions"]} functions, chosen by its residual among '
            f"{len(solution.candidates)}. {solution.message[:1].upper()}{solution.message[1:]}."
        ),
        metrics=metrics,
        references=references,
        pictures=pictures(solution, given.exact, given.data.get("source")),
        environment=environment(),
        command=application.command(),
        configuration=OmegaConf.to_yaml(config),
    )
    write_report(folder, findings)
    return flat_metrics(findings)
