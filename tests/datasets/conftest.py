"""A small data file with every kind of field, made from formulas."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec

SAMPLES = 7
GRID = Grid((9, 6), (1.0, 2.0), (False, True))
SPEC = DatasetSpec(
    "kinds",
    GRID,
    (
        FieldSpec("solution", "output", units="m", time_varying=True),
        FieldSpec("coefficient", "input"),
        FieldSpec("velocity", "input", units="m/s", order=1),
        FieldSpec("distance", "input", sample_varying=False),
    ),
    equation="Darcy",
    equation_parameters={"high": 0.36, "low": 0.02},
    parameters=("viscosity",),
)
DISTANCE = np.linspace(0, 1, 9)[:, None] * np.ones((1, 6))
PROVENANCE = {"generator": "tests", "generator_version": "1", "config_json": {"a": [1, 2]}}


def sample(index: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(index)
    return {
        "solution": random.normal(size=(9, 6)).astype("float32"),
        "coefficient": random.uniform(1, 2, size=(9, 6)).astype("float32"),
        "velocity": random.normal(size=(9, 6, 2)).astype("float32"),
    }


def begin(path: Path, **settings) -> DatasetWriter:
    defaults = {"provenance": PROVENANCE, "constants": {"distance": DISTANCE}}
    return DatasetWriter(path, SPEC, SAMPLES, **(defaults | settings))


def put(writer: DatasetWriter, index: int, **changes) -> None:
    settings = {"seed": 100 + index, "parameters": {"viscosity": 0.5 * index}, "residual": 1e-6}
    writer.write(index, sample(index), **(settings | changes))


def write_all(path: Path, **settings) -> Path:
    with begin(path, **settings) as writer:
        for index in sorted(set(range(SAMPLES)) - writer.written):
            put(writer, index)
        return writer.finish()


@pytest.fixture(scope="session")
def kinds() -> SimpleNamespace:
    """The spec and the functions above; conftest cannot be imported by name."""
    return SimpleNamespace(
        spec=SPEC,
        grid=GRID,
        samples=SAMPLES,
        distance=DISTANCE,
        provenance=PROVENANCE,
        sample=sample,
        begin=begin,
        put=put,
        write_all=write_all,
    )


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write_all(tmp_path / "kinds.h5")
