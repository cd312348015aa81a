import hashlib
import json

import h5py
import numpy as np
import pytest
import yaml

from pdesolve import Grid
from pdesolve.datasets import (
    ChecksumError,
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    SplitError,
    write_manifest,
)

SPEC = DatasetSpec(
    "s",
    Grid((4,), 1.0, True),
    (FieldSpec("a", "input"), FieldSpec("v", "output", time_varying=True, order=1)),
    times=(0.0, 1.0, 2.0),
)


def write(path, seeds):
    with DatasetWriter(path, SPEC, len(seeds), provenance={}, dtype="float64") as writer:
        for index, seed in enumerate(seeds):
            random = np.random.default_rng(seed)
            fields = {"a": random.normal(size=4), "v": random.normal(size=(3, 4, 1))}
            writer.write(index, fields, seed=seed)
        writer.finish()


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data/train/one.h5", range(3))
    write(tmp_path / "data/train/two.h5", range(3, 8))
    write(tmp_path / "data/test/one.h5", range(20, 22))
    return tmp_path


def test_manifest_lists_files_with_size_hash_and_split(folder):
    manifest = json.loads(write_manifest(folder).read_text())
    assert list(manifest["files"]) == [
        f"data/{p}.h5" for p in ("test/one", "train/one", "train/two")
    ]
    facts = manifest["files"]["data/train/two.h5"]
    content = (folder / "data/train/two.h5").read_bytes()
    assert facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert (facts["bytes"], facts["samples"], facts["split"]) == (len(content), 5, "train")
    assert len(manifest["data_hash"]) == 64


def test_statistics_are_those_of_all_training_files(folder):
    write_manifest(folder)
    found = yaml.safe_load((folder / "stats.yaml").read_text())
    draws = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        draws.append((random.normal(size=4), random.normal(size=(3, 4, 1))))
    a, v = (np.stack(values) for values in zip(*draws, strict=True))
    steps = np.diff(v, axis=1)
    assert set(found) == {"mean", "std", "rms", "mean_delta", "std_delta", "rms_delta"}
    assert found["mean"]["a"] == pytest.approx(a.mean(), rel=1e-12)
    assert found["std"]["v"] == pytest.approx([v.std()], rel=1e-12)
    assert found["rms_delta"]["v"] == pytest.approx([np.sqrt((steps**2).mean())], rel=1e-12)
    assert set(found["mean_delta"]) == {"v"}


def test_seed_in_two_splits_is_refused(folder):
    write(folder / "data/valid/one.h5", [30, 5])
    with pytest.raises(SplitError, match="5 is also in split 'train'"):
        write_manifest(folder)


def test_sample_in_two_splits_is_refused_without_seeds(folder):
    for split in ("valid", "train"):
        path = folder / "data" / split / "same.h5"
        with DatasetWriter(path, SPEC, 1, provenance={}) as writer:
            writer.write(0, {"a": np.ones(4), "v": np.ones((3, 4, 1))}, seed=-1)
            writer.finish()
    with pytest.raises(SplitError, match="sample hash"):
        write_manifest(folder)


def test_empty_folder_has_no_manifest(tmp_path):
    with pytest.raises(SplitError, match="no file"):
        write_manifest(tmp_path)


def test_damaged_file_gets_no_manifest(folder):
    with h5py.File(folder / "data/test/one.h5", "r+") as file:
        file["pdesolve/samples/seed"][0] = 77
    with pytest.raises(ChecksumError):
        write_manifest(folder)
