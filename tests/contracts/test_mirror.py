"""Every source file has its tests where a reader looks for them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXEMPT = {"__init__.py", "__main__.py", "version.py"}
# Parts that are tested through the file whose parts they are.
THROUGH = {
    "cli/figures.py": "cli/test_train.py",
    "cli/jobs.py": "cli/test_generate.py",
    "cli/judge.py": "cli/test_train.py",
    "cli/progress.py": "cli/test_generate.py",
    "datasets/data.py": "datasets/test_point_set.py",
    "cli/splits.py": "cli/test_sets.py",
    "cli/thumbnail.py": "cli/test_generate.py",
    "cli/suites/calls.py": "cli/test_benchmark.py",
    "cli/suites/composed.py": "cli/test_benchmark.py",
    "cli/suites/costs.py": "cli/test_benchmark.py",
    "cli/suites/floor.py": "cli/test_benchmark.py",
    "cli/suites/measured.py": "cli/test_benchmark.py",
    "cli/suites/other_tables.py": "cli/suites/test_tables.py",
    "cli/suites/plan.py": "cli/test_benchmark.py",
    "cli/suites/suite.py": "cli/test_benchmark.py",
    "cli/suites/summary.py": "cli/suites/test_tables.py",
    "cli/suites/tell.py": "cli/test_benchmark.py",
    "cli/suites/trained.py": "cli/test_benchmark.py",
    "cli/suites/verb.py": "cli/test_benchmark.py",
    "cli/suites/worker.py": "cli/test_benchmark.py",
    "datasets/report.py": "datasets/test_verify.py",
    "datasets/formats/contents.py": "datasets/formats/test_pdebench.py",
    "datasets/formats/matlab5.py": "datasets/formats/test_fno_mat.py",
    "datasets/formats/numpy_files.py": "datasets/formats/test_thuml.py",
    "losses/curriculum.py": "losses/test_loss.py",
    "losses/relative_l2.py": "losses/test_loss.py",
    "losses/sobolev.py": "losses/test_loss.py",
    "losses/weighted_sum.py": "losses/test_loss.py",
    "datasets/member.py": "datasets/test_mixture.py",
    "evaluation/canvas.py": "evaluation/test_panels.py",
    "evaluation/fields.py": "evaluation/test_panels.py",
    "evaluation/glossary.py": "evaluation/test_page.py",
    "cli/solve_pictures.py": "cli/test_solve.py",
    "gp/attempt.py": "gp/test_solve.py",
    "gp/axis.py": "gp/test_features.py",
    "gp/checks.py": "gp/test_solve.py",
    "gp/hard_posterior.py": "gp/test_posterior.py",
    "gp/many_dimensions.py": "gp/test_solve.py",
    "gp/misfit.py": "gp/test_solve.py",
    "gp/noisy.py": "gp/test_posterior.py",
    "gp/nonlinear.py": "gp/test_kronecker_form.py",
    "gp/observations.py": "gp/test_posterior.py",
    "gp/one_dimension.py": "gp/test_solve.py",
    "gp/priors.py": "gp/test_spectrum.py",
    "gp/problem.py": "gp/test_solve.py",
    "gp/snapshots.py": "gp/test_spectrum.py",
    "gp/tensor_basis.py": "gp/test_kronecker_form.py",
    "gp/user_kernel.py": "gp/test_solve.py",
    "training/adamw.py": "training/test_optimizers.py",
    "training/epoch.py": "training/test_loop.py",
    "training/muon.py": "training/test_optimizers.py",
    "training/objective.py": "training/test_loop.py",
    "training/pairs.py": "training/test_optimizers.py",
    "training/progress.py": "training/test_loop.py",
    "training/recipe.py": "training/test_loop.py",
    "training/refinement/checks.py": "training/refinement/test_refine.py",
    "training/state.py": "training/test_loop.py",
    "training/validation.py": "training/test_loop.py",
}


def test_every_source_file_has_a_test_file():
    package = ROOT / "pdesolve"
    sources = [p.relative_to(package) for p in package.rglob("*.py") if p.name not in EXEMPT]
    missing = [str(source) for source in sources if not (ROOT / "tests" / mirror(source)).is_file()]
    assert not missing, f"no test file for {missing}"


def mirror(source: Path) -> Path:
    return Path(THROUGH.get(source.as_posix(), source.parent / f"test_{source.name}"))
