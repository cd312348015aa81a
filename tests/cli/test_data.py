import json

import pytest
import torch

import pdesolve as package


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
    assert done.out.count("sound") == 3


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
    assert all("maximum principle" in str(r["warnings"]) for r in reports.values())
    opened = package.datasets.open_dataset(pdesolve.folder / "data/darcy_16", split="test")
    assert opened.batch([0]).x.unique().tolist() == pytest.approx([0.02, 0.36])
    assert torch.isfinite(opened.batch(range(50)).y).all()
