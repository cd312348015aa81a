import os

import pytest

from pdesolve.cli.application import print_sweep, relative, write_text


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    write_text(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_paths_are_shown_as_a_user_would_type_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(relative(tmp_path / "runs/x")) == "runs/x"
    assert relative(tmp_path.parent) == tmp_path.parent


def test_a_sweep_is_summed_up_by_mean_and_deviation(capsys):
    print_sweep([("runs/0", {"test/l2": 1.0}), ("runs/1", {"test/l2": 3.0})])
    row = next(line for line in capsys.readouterr().out.splitlines() if "test/l2" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "test/l2", "1", "3", "2", "1.4142",
    ]  # fmt: skip
