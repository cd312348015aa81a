"""`pdesolve solve problem=NAME`: an equation solved without data by a Gaussian process."""

import runpy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import application
from .failures import UsageError


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


def solve(config: Any, folder: Path) -> dict[str, float]:
    """Solve, compare with classical methods, and write field, figures and report.

    Raises:
        UsageError: neither a problem nor a file is given, or both are.
        ConvergenceError: the residual is above the tolerance; the report is written all the same.
    """
    from ..gp.solve import solve as gp_solve

    given = _given(config)
    started = time.perf_counter()
    solution = gp_solve(
        given.equation, given.grid, **given.data,
        spacing=config.spacing, tolerance=given.tolerance, raise_on_failure=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    metrics = {
        "residual/midpoint": float(solution.stats["residual"]),
        "residual/boundary": float(solution.stats["boundary"]),
        "candidates": float(len(solution.candidates)),
        "seconds": seconds,
    }
    if given.exact is not None:
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
        raise UsageError(f"file {path} does not exist, expected a Python file with an equation")
    names = runpy.run_path(str(path))
    missing = [name for name in ("equation", "grid") if name not in names]
    if missing:
        raise UsageError(
            f"file {path} does not set {' and '.join(missing)}, expected an equation "
            "(a function residual(d, u, *, source)) and a pdesolve.Grid"
        )
    wanted = tolerance if tolerance is not None else names.get("tolerance", 1e-6)
    data = {name: names[name] for name in ("source", "boundary", "fields") if name in names}
    return Given(path.stem, names["equation"], names["grid"], wanted, data, names.get("exact"))


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
