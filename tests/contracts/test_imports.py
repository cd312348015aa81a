"""What importing the package may cost, and what it must not bring along."""

import subprocess
import sys

import pytest

HEAVY = ("neuralop", "gpytorch", "hydra", "omegaconf", "matplotlib", "tensorboard", "wandb")


def modules_after(code: str) -> set[str]:
    command = f"import sys; {code}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import pdesolve",
        "from pdesolve import Grid, Batch, Solution, ConvergenceError, save, load",
        "from pdesolve.operators import TFNO",
        "from pdesolve.training import fit",
        "from pdesolve.evaluation import evaluate",
    ],
)
def test_the_library_brings_no_heavy_package_along(code):
    assert not modules_after(code) & set(HEAVY)


@pytest.mark.parametrize(
    "verb", [(), ("train",), ("generate",), ("solve",), ("export",), ("data",)]
)
def test_help_imports_no_torch(verb):
    arguments = [*verb, "--help"]
    code = (
        "from pdesolve.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "torch" not in done.stdout.splitlines()[-1].split()
