import json
import subprocess
import sys

import pytest
import torch

import pdesolve as package
from pdesolve.cli.apart import Apart, Crashed


@pytest.fixture
def file(with_data):
    return with_data.folder / "data/darcy_demo/data/train/darcy_demo.h5"


def test_inspect_tells_what_a_file_holds(with_data, file):
    assert "coefficient" in with_data("data", "inspect", str(file)).out
    facts = json.loads(with_data("data", "inspect", str(file), "--json").out)
    assert "Darcy" in json.dumps(facts)


def test_verify_finds_a_generated_folder_sound(with_data):
    done = with_data("data", "verify", str(with_data.folder / "data/darcy_demo"))
    assert done.code == 0, done.out
    assert done.out.count(": sound, ") == 4  # three files and the set
    assert done.out.count("residual of the equation: median") == 3


def test_the_residual_of_every_sample_is_in_the_json(with_data, file):
    (report,) = json.loads(with_data("data", "verify", str(file), "--json").out).values()
    assert report["verdict"] == "sound"
    assert report["residuals"]["samples"] == list(range(12))
    assert max(report["residuals"]["values"]) < 1e-4


def test_a_file_that_is_being_written_is_busy(with_data, file):
    holder = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1], 'r+'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"held\n"
        done = with_data("data", "verify", str(file))
        process.stdin.close()
    assert done.code == 3
    assert ": busy, 0 samples" in done.out
    assert "damaged" not in done.out


def test_a_picture_of_a_sample_is_drawn_where_asked(with_data, file):
    for path in (str(file), "data/darcy_demo"):
        done = with_data("data", "inspect", path, "--picture", "deep/a.png", "--sample", "3")
        assert done.code == 0, done.err
        picture = with_data.folder / "deep/a.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        picture.unlink()
    done = with_data("data", "inspect", str(file), "--picture", "a.png", "--sample", "12")
    assert done.code == 3
    assert "expected 0 to 11" in done.err


def test_inspect_of_a_folder_is_short(with_data):
    told = with_data("data", "inspect", "data/darcy_demo").out
    assert len(told.splitlines()) < 35
    for part in ("12 samples", "17 nodes on 1", "Darcy(low=3.0", "coefficient", "data hash"):
        assert part in told


def test_a_folder_without_manifest_is_joined(with_data):
    manifest = with_data.folder / "data/darcy_demo/MANIFEST.json"
    before = manifest.read_text()
    manifest.unlink()
    assert with_data("data", "verify", "data/darcy_demo").code == 3
    assert with_data("data", "join", "data/darcy_demo").out.strip() == (
        "data/darcy_demo/MANIFEST.json"
    )
    assert manifest.read_text() == before


def test_verify_finds_a_missing_split(with_data, file):
    file.unlink()
    done = with_data("data", "verify", str(with_data.folder / "data/darcy_demo"))
    assert done.code == 3
    assert "data/train/darcy_demo.h5" in done.err


def test_verify_finds_a_flipped_bit(with_data, file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = with_data("data", "verify", str(file), "--json")
    assert done.code == 3


def test_verify_outlives_a_crash_of_the_reading_library(with_data, monkeypatch):
    def crashes(self, function, *arguments):
        raise Crashed

    monkeypatch.setattr(Apart, "__call__", crashes)
    done = with_data("data", "verify", str(with_data.folder / "data/darcy_demo"))
    assert done.code == 3
    assert "damaged" in done.out and "the HDF5 library crashed" in done.out


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_none_gets_a_clear_error(pdesolve, content):
    path = pdesolve.folder / "broken.h5"
    path.write_bytes(content)
    done = pdesolve("data", "verify", str(path))
    assert done.code == 3
    assert "broken.h5" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_missing_file_gets_a_clear_error(pdesolve):
    done = pdesolve("data", "inspect", "nowhere.h5")
    assert done.code == 3
    assert "nowhere.h5" in done.err


def test_published_darcy_files_convert_and_their_negative_samples_are_warned_of(
    pdesolve, shared_data
):
    files = [str(shared_data / f"neuraloperator/darcy_{s}_16.pt") for s in ("train", "test")]
    done = pdesolve("data", "convert", *files, "--output", str(pdesolve.folder / "data/darcy_16"))
    assert done.code == 0, done.err
    verified = pdesolve("data", "verify", str(pdesolve.folder / "data/darcy_16"), "--json")
    assert verified.code == 0
    reports = json.loads(verified.out)
    assert all(not r["errors"] for r in reports.values())
    files = {path: report for path, report in reports.items() if path.endswith(".h5")}
    assert len(files) == 2
    assert all("maximum principle" in str(r["warnings"]) for r in files.values())
    opened = package.datasets.open_dataset(pdesolve.folder / "data/darcy_16", split="test")
    assert opened.batch([0]).x.unique().tolist() == pytest.approx([0.02, 0.36])
    assert torch.isfinite(opened.batch(range(50)).y).all()
