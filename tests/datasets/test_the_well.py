"""The Well's own loader opens what is written here; skipped where its package is absent."""

import shutil

import numpy as np
import pytest

well = pytest.importorskip("the_well.data.datasets")


@pytest.fixture
def folder(stored, tmp_path):
    split = tmp_path / "kinds" / "data" / "train"
    split.mkdir(parents=True)
    shutil.copy(stored, split / "kinds.h5")
    return split


def test_the_well_reads_a_steady_problem(kinds, folder):
    # A steady problem has no input frames: its inputs are fields that do not vary in time.
    opened = well.WellDataset(path=str(folder), n_steps_input=0, n_steps_output=1)
    assert len(opened) == kinds.samples
    item = opened[5]
    written = kinds.sample(5)
    assert np.array_equal(item["output_fields"][0, ..., 0], written["solution"])
    names = opened.metadata.constant_field_names
    assert sorted(names[0] + names[1]) == ["coefficient", "distance", "velocity_x", "velocity_y"]
    constant = item["constant_fields"][..., names[0].index("coefficient")]
    assert np.array_equal(constant, written["coefficient"])
    assert item["constant_scalars"].tolist() == [2.5]
    assert set(opened.metadata.boundary_condition_types) == {"WALL", "PERIODIC"}
