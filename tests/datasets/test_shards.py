import json

import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    IncompleteFileError,
    SchemaError,
    open_dataset,
    write_manifest,
)
from pdesolve.datasets.header import Header
from pdesolve.datasets.shards import Part, part_of

SPEC = DatasetSpec(
    "s", Grid((5, 3), 1.0, True), (FieldSpec("mask", "input"), FieldSpec("u", "output"))
)
PLANNED = {"train": 10, "test": 2}


def write(folder, split, indices, *, name, planned=PLANNED, rejected=()):
    part = Part(split, indices.start, len(indices), planned)
    path = folder / "data" / split / f"{name}.h5"
    provenance = part.as_provenance()
    with DatasetWriter(path, SPEC, len(indices), provenance=provenance, mask="mask") as writer:
        for row, index in enumerate(indices):
            random = np.random.default_rng([len(split), index])
            mask = (random.random((5, 3)) < 0.7) | np.eye(5, 3, dtype=bool)
            fields = {"mask": mask, "u": random.normal(size=(5, 3))}
            seed = 1000 * len(split) + index
            writer.write(row, fields, seed=seed, rejected=index in rejected)
        writer.finish()
    return path


@pytest.fixture
def shards(tmp_path):
    # Names in another order than that of the samples.
    write(tmp_path, "train", range(7, 10), name="a", rejected=(8,))
    write(tmp_path, "train", range(0, 4), name="b")
    write(tmp_path, "train", range(4, 7), name="c")
    write(tmp_path, "test", range(2), name="a")
    return tmp_path


def manifest(folder):
    return json.loads(write_manifest(folder).read_text())


def test_a_file_tells_its_part_of_the_set(tmp_path, stored):
    path = write(tmp_path, "train", range(4, 7), name="c")
    assert part_of(Header(path)) == Part("train", 4, 3, PLANNED)
    assert part_of(Header(stored)) is None


def test_shards_open_as_one_split_in_the_order_of_their_samples(shards, tmp_path):
    write(whole := tmp_path / "whole", "train", range(10), name="s", rejected=(8,))
    for memory in (True, False):
        one, many = (open_dataset(f, split="train", in_memory=memory) for f in (whole, shards))
        assert many.seeds == one.seeds == [5000 + k for k in (*range(8), 9)]
        assert many.data_hash == one.data_hash
        a, b = one.batch([8, 0, 5]), many.batch([8, 0, 5])
        assert all(bool((getattr(a, part) == getattr(b, part)).all()) for part in ("x", "y"))
        assert bool((a.mask == b.mask).all()) and a.mask.shape == (3, 1, 5, 3)


def test_a_set_has_one_hash_whatever_its_files(shards, tmp_path):
    whole = tmp_path / "whole"
    write(whole, "train", range(10), name="s", rejected=(8,))
    write(whole, "test", range(2), name="s")
    one, many = manifest(whole), manifest(shards)
    assert one["data_hash"] == many["data_hash"]
    assert (whole / "stats.yaml").read_text().splitlines()[0] == "mean:"
    assert (len(one["files"]), len(many["files"])) == (2, 4)


def test_a_missing_shard_is_told_and_not_opened(shards):
    (shards / "data/train/c.h5").unlink()
    with pytest.raises(IncompleteFileError, match="train lacks samples 4 to 6 of 10"):
        open_dataset(shards, split="train")
    with pytest.raises(IncompleteFileError, match="train lacks samples 4 to 6 of 10"):
        write_manifest(shards)
    part = open_dataset(shards, split="train", allow_partial=True)
    assert part.seeds == [5000, 5001, 5002, 5003, 5007, 5009]
    assert len(open_dataset(shards, split="test")) == 2


def test_a_missing_last_shard_and_a_missing_split_are_told(shards):
    (shards / "data/train/a.h5").unlink()
    (shards / "data/test/a.h5").unlink()
    expected = "train lacks samples 7 to 9 of 10; test lacks samples 0 to 1 of 2"
    with pytest.raises(IncompleteFileError, match=expected):
        write_manifest(shards)


def test_a_sample_in_two_files_is_refused(shards):
    write(shards, "train", range(3, 5), name="d")
    for attempt in (lambda: open_dataset(shards, split="train"), lambda: write_manifest(shards)):
        with pytest.raises(SchemaError, match=r"samples 3 to 3 of train are in b\.h5 too"):
            attempt()


def test_files_of_another_plan_are_refused(shards):
    write(shards, "test", range(0, 3), name="z", planned={"train": 10, "test": 3})
    with pytest.raises(SchemaError, match="as in"):
        write_manifest(shards)


def test_a_shard_opens_by_itself(shards):
    assert open_dataset(shards / "data/train/c.h5").seeds == [5004, 5005, 5006]
