import hashlib
import json
import re

import numpy as np
import pytest
import torch

from pdesolve import Grid
from pdesolve.datasets import (
    ExistingFileError,
    MissingFileError,
    Physics,
    SchemaError,
    UnknownFormatError,
    UnsafeFileError,
    open_dataset,
    validate,
    verify,
)
from pdesolve.datasets.formats import convert, neuraloperator


def save(folder, split="train", samples=4, size=16, **changes):
    generator = torch.Generator().manual_seed({"train": 1, "test": 2}[split])
    content = {
        "x": torch.rand(samples, size, size, generator=generator) > 0.5,
        "y": torch.rand(samples, size, size, generator=generator),
    }
    path = folder / f"darcy_{split}_{size}.pt"
    torch.save(content | changes, path)
    return path, content


def test_phases_become_coefficients_at_the_decoded_points(tmp_path):
    (train, content), (test, _) = save(tmp_path), save(tmp_path, "test", 2)
    written = convert([train, test], tmp_path / "darcy")
    assert [p.relative_to(tmp_path).as_posix() for p in written] == [
        "darcy/data/train/darcy.h5",
        "darcy/data/test/darcy.h5",
    ]
    dataset = open_dataset(tmp_path / "darcy", split="train", dtype=torch.float64)
    batch = dataset.batch(range(4))
    expected = np.where(content["x"], np.float32(0.36), np.float32(0.02))
    assert np.array_equal(batch.x[:, 0], expected)
    assert np.array_equal(batch.y[:, 0], content["y"])
    positions = (1 + 64 * np.arange(16)) / 1024
    assert np.allclose(dataset.grid.axis(0), positions, rtol=1e-15)
    assert (dataset.equation, dataset.input_names, dataset.output_names) == (
        "Darcy",
        ("coefficient",),
        ("solution",),
    )
    parameters = dataset.equation_parameters
    assert (parameters["high"], parameters["low"]) == (0.36, 0.02)


def test_converted_files_are_valid_and_name_their_source(tmp_path):
    train, _ = save(tmp_path)
    (written,) = convert([train], tmp_path / "darcy")
    assert validate(written) == []
    assert verify(written).errors == ()
    provenance = open_dataset(written).metadata()["provenance"]
    assert provenance["source"] == "darcy_train_16.pt"
    assert provenance["source_sha256"] == hashlib.sha256(train.read_bytes()).hexdigest()
    manifest = json.loads((tmp_path / "darcy" / "MANIFEST.json").read_text())
    assert manifest["files"]["data/train/darcy.h5"]["samples"] == 4
    assert (tmp_path / "darcy" / "stats.yaml").is_file()


@pytest.mark.parametrize("size", [16, 32])
def test_sub_grid_of_the_finer_file_is_the_coarser(tmp_path, size):
    path, _ = save(tmp_path, size=size)
    (written,) = convert([path], tmp_path / "darcy")
    assert open_dataset(written, stride=size // 16).grid == Grid(
        (16, 16), 1.0, False, offset=1 / 1024
    )


def test_unknown_resolution_needs_a_grid(tmp_path):
    path, _ = save(tmp_path, size=20)
    with pytest.raises(SchemaError, match=r"20 points a side.*pass grid=Grid"):
        convert([path], tmp_path / "darcy")
    grid = Grid((20, 20), 1.0, False, "cell")
    (written,) = neuraloperator.convert([path], tmp_path / "darcy", grid=grid)
    assert open_dataset(written).grid == grid


def test_resolutions_and_splits_are_not_mixed(tmp_path):
    (coarse, _), (fine, _) = save(tmp_path), save(tmp_path, "test", size=32)
    with pytest.raises(SchemaError, match="resolutions differ"):
        convert([coarse, fine], tmp_path / "darcy")
    (tmp_path / "other").mkdir()
    with pytest.raises(SchemaError, match="two files of one split"):
        convert([coarse, save(tmp_path / "other")[0]], tmp_path / "darcy")
    assert not (tmp_path / "darcy").exists()


def test_converted_folder_is_not_overwritten(tmp_path):
    path, _ = save(tmp_path)
    convert([path], tmp_path / "darcy")
    with pytest.raises(ExistingFileError):
        convert([path], tmp_path / "darcy")


class Pickled:
    """What an attacker would put there: loading it would call a function."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_pickled_objects_are_refused_and_never_run(tmp_path):
    path, _ = save(tmp_path, extra=Pickled())
    with pytest.raises(UnsafeFileError, match="pickled objects"):
        neuraloperator.detects(path)
    with pytest.raises(UnsafeFileError):
        convert([path], tmp_path / "darcy")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("darcy.pt", {}, "not named"),
        ("darcy_train_16.pt", {"x": torch.ones(4, 16, 16)}, "no bool tensor"),
        ("darcy_train_16.pt", {"y": torch.ones(4, 16, 17)}, "not both (N, n, n)"),
        ("darcy_train_16.pt", {"y": 3}, "no bool tensor"),
    ],
)
def test_other_contents_are_told(tmp_path, name, changes, reason):
    path, _ = save(tmp_path, **changes)
    path = path.rename(tmp_path / name)
    assert reason in neuraloperator.detects(path)
    with pytest.raises(UnknownFormatError, match=re.escape(reason)):
        convert([path], tmp_path / "darcy")


@pytest.mark.parametrize("content", [b"", b"not torch", b"PK\x03\x04 torn"])
def test_other_files_are_told(tmp_path, content):
    path = tmp_path / "darcy_train_16.pt"
    path.write_bytes(content)
    with pytest.raises(UnknownFormatError, match=r"darcy_train_16\.pt is no torch file"):
        convert([path], tmp_path / "darcy")


def test_missing_file_is_told(tmp_path):
    with pytest.raises(MissingFileError):
        convert([tmp_path / "darcy_train_16.pt"], tmp_path / "darcy")


def test_published_files_convert_and_keep_their_negative_samples(shared_data, tmp_path):
    files = [shared_data / "neuraloperator" / f"darcy_{s}_16.pt" for s in ("train", "test")]
    written = convert(files, tmp_path / "darcy")

    def check(fields, grid):
        low = fields["solution"].flatten(1).amin(1)
        return [("maximum principle", low < -1e-6, "a solution is negative")]

    train, test = (verify(path, physics=Physics(check)) for path in written)
    assert (train.errors, test.errors) == ((), ())
    assert (train.samples, test.samples) == (1000, 50)
    # The published list of the worst, by index.
    assert {767, 529, 275, 973, 200, 49, 790, 501} <= set(train.warnings[0].samples)
    assert len(test.warnings[0].samples) == 1
    dataset = open_dataset(tmp_path / "darcy", split="train")
    y = dataset.batch(range(1000)).y
    assert float(y.mean()) == pytest.approx(0.3863, abs=1e-4)
    assert (float(y.min()), float(y.max())) == pytest.approx((-0.4279, 2.0572), abs=1e-4)
