import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.cli.physics import physics_of
from pdesolve.cli.recipe import Recipe
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, verify
from pdesolve.pde import (
    Advection,
    AllenCahn,
    Burgers1d,
    Darcy,
    FisherKPP,
    Heat3d,
    Helmholtz2d,
    NavierStokes2d,
    Poisson,
)

WALLS, TORUS = Grid((17, 13), 1.0, False), Grid((16, 12), 1.0, True)
CASES = {
    "advection": (Advection(velocity=(1.0,), times=(0.1, 0.3)), Grid((32,), 1.0, True)),
    "allen_cahn": (AllenCahn(dims=2, modes=16, times=(0.1,)), TORUS),
    "burgers": (Burgers1d(modes=64, times=(0.1, 0.2)), Grid((64,), 1.0, True)),
    "darcy": (Darcy(modes=16), WALLS),
    "darcy in a disc": (
        Darcy(modes=16, shapes=("circle",)), Grid((12, 12), 1.0, False, placement="cell")
    ),
    "fisher_kpp": (FisherKPP(times=(0.0, 0.1)), Grid((32,), 1.0, False)),
    "heat": (Heat3d(), Grid((24, 10, 4), (10.0, 2.5, 0.5), False, placement="cell")),
    "helmholtz": (Helmholtz2d(), WALLS),
    "navier_stokes": (
        NavierStokes2d(modes=16, times=(0.5, 1.0), solver_shape=(32, 32)),
        Grid((16, 16), 1.0, True),
    ),
    "velocity after a warm-up": (
        NavierStokes2d(modes=16, warm_up=0.3, times=(0.1, 0.2), fields="velocity"),
        Grid((16, 16), 1.0, True),
    ),
    "poisson": (Poisson(modes=16), WALLS),
}  # fmt: skip


def store(path, equation, grid, *, change=None, samples=3, times=None):
    fields = [FieldSpec(name, "input") for name in equation.inputs]
    fields += [FieldSpec(name, "output", time_varying=True) for name in equation.outputs]
    spec = DatasetSpec(
        "a", grid, tuple(fields), times or getattr(equation, "times", (0.0,)),
        type(equation).__name__, asdict(equation), getattr(equation, "parameters", ()),
    )  # fmt: skip
    with DatasetWriter(path, spec, samples, provenance={}) as writer:
        for index, sample in enumerate(Recipe(equation, grid, 0, 0).samples(range(samples))):
            if change is not None and index == 1:
                name = equation.outputs[0]
                sample["fields"][name] = change(sample["fields"][name])
            writer.write(index, **sample)
        return writer.finish()


@pytest.mark.parametrize("name", CASES)
def test_solved_samples_have_small_residuals_and_a_wrong_one_stands_out(tmp_path, name):
    equation, grid = CASES[name]
    sound = store(tmp_path / "sound.h5", equation, grid)
    report = verify(sound, physics=physics_of(sound))
    assert report.residuals.samples == (0, 1, 2)
    assert (report.errors, report.warnings) == ((), ())
    wrong = store(tmp_path / "wrong.h5", equation, grid, change=lambda u: 1.1 * u)
    report = verify(wrong, physics=physics_of(wrong))
    assert report.errors == ()
    (finding,) = (f for f in report.warnings if f.kind == "residual")
    assert finding.samples == report.residuals.suspicious == (1,)
    assert report.residuals.worst[0] == 1
    assert "(sample 1)" in str(report.residuals)
    told = json.loads(json.dumps(report.as_dict()))["residuals"]
    assert told["worst_sample"] == 1 and len(told["values"]) == 3


def test_residual_of_a_poisson_sample_is_that_of_its_formula(tmp_path):
    equation, grid = CASES["poisson"]
    path = store(tmp_path / "a.h5", equation, grid, change=lambda u: 1.25 * u)
    # The residual of 1.25 u is a quarter of the source: -1.25 Δu - f = f / 4.
    assert verify(path, physics=physics_of(path)).residuals.worst[1] == pytest.approx(0.25, 1e-3)


def test_why_there_is_no_residual_is_told(tmp_path):
    equation, grid = CASES["burgers"]
    at_other_times = store(tmp_path / "a.h5", equation, grid, times=(1.0, 2.0))
    assert "recorded at (1.0, 2.0)" in str(reasoned(at_other_times))
    flow = NavierStokes2d(modes=16, warm_up=0.1, times=(0.1,))
    one_record = store(tmp_path / "b.h5", flow, Grid((16, 16), 1.0, True))
    assert "times has one entry after a warm-up" in str(reasoned(one_record))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"equation": ""}, "the file names no equation"),
        ({"equation": "Wave"}, "pdesolve knows no equation 'Wave'"),
        ({"equation_parameters": {"colour": 3}}, "Poisson cannot be built from the file"),
        ({"grid": Grid((17, 13), 1.0, False, offset=0.03)}, "the stored sub-grid lacks the walls"),
        ({"fields": (FieldSpec("f", "input"), FieldSpec("u", "output"))}, "solution, source not"),
    ],
)
def test_equations_that_cannot_be_asked_are_told(tmp_path, changes, reason):
    settings = {
        "name": "a",
        "grid": WALLS,
        "fields": (FieldSpec("source", "input"), FieldSpec("solution", "output")),
        "equation": "Poisson",
    }
    spec = DatasetSpec(**(settings | changes))
    with DatasetWriter(tmp_path / "a.h5", spec, 1, provenance={}) as writer:
        writer.write(0, {one.name: np.ones((17, 13)) for one in spec.fields}, seed=0)
        path = writer.finish()
    assert reason in str(reasoned(path))


def reasoned(path):
    return verify(path, physics=physics_of(path)).residuals


def test_a_true_sample_that_stands_out_is_looked_at_twice(tmp_path):
    path = store(tmp_path / "a.h5", *CASES["poisson"])
    physics = physics_of(path)

    looks = iter([torch.tensor([1e-7]), torch.tensor([0.3])])
    large = replace(
        physics,
        residual=lambda f, g: torch.tensor([1e-7, 0.5, 1e-7]),
        anew=lambda f, g: next(looks),
    )
    assert verify(path, physics=large).residuals.suspicious == ()
