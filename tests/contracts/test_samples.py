"""The small sets that the repository tracks are whole, true and listed."""

import json
from pathlib import Path

import pytest

from pdesolve.cli.physics import physics_of
from pdesolve.datasets import open_dataset, verify
from pdesolve.datasets.set_report import verify_set

SAMPLES = Path(__file__).resolve().parents[2] / "data/samples"
SETS = sorted(folder.name for folder in SAMPLES.iterdir() if folder.is_dir())


def test_they_are_small():
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 1e6


@pytest.mark.parametrize("name", SETS)
def test_they_are_what_their_manifest_and_the_list_say(name):
    report = verify_set(SAMPLES / name)
    assert report.errors == ()
    told = (SAMPLES.parent / "README.md").read_text()
    assert f"| `samples/{name}` |" in told
    assert report.data_hash[:16] in told


@pytest.mark.parametrize("name", SETS)
def test_their_fields_solve_their_equation(name):
    (path,) = (SAMPLES / name / "data/test").glob("*.h5")
    report = verify(path, physics=physics_of(path))
    assert (report.errors, report.warnings) == ((), ())
    assert report.residuals.worst[1] < 1e-3


@pytest.mark.parametrize("name", SETS)
def test_they_open_as_batches(name):
    dataset = open_dataset(SAMPLES / name, split="train")
    batch = dataset.batch(range(len(dataset)))
    assert batch.x.isfinite().all() and batch.y.isfinite().all()
    assert (batch.mask is None) == (name != "darcy_geometries")
    if batch.mask is not None:
        channel = dataset.input_names.index("mask")
        assert (batch.mask[:, 0] == batch.x[:, channel]).all()
        assert batch.mask.min() == 0
    listed = json.loads((SAMPLES / name / "MANIFEST.json").read_text())["files"]
    assert {Path(file).parts[1] for file in listed} == {"train", "valid", "test"}
