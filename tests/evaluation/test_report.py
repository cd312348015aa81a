import json
import math

import pytest
import torch

from pdesolve.evaluation.pictures import Picture
from pdesolve.evaluation.report import Findings, environment, flat_metrics, write_report

FINDINGS = Findings(
    "Darcy flow",
    "A model.",
    {"test@33/l2": 0.1, "test/l2": 0.05, "test/max": math.inf},
    references={"Training mean, of 1000": {"test/l2": 0.5}},
    pictures=[Picture("worst_sample", "The worst.", b"\x89PNG worst")],
)


def test_folder_holds_the_page_its_pictures_and_the_figures(tmp_path):
    path = write_report(tmp_path / "new" / "run", FINDINGS)
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["metrics.json", "report.html", "worst_sample.png"]
    assert (path.parent / "worst_sample.png").read_bytes() == b"\x89PNG worst"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_metrics_are_flat_sorted_and_strict_json(tmp_path):
    write_report(tmp_path, FINDINGS)
    metrics = json.loads(
        (tmp_path / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word)
    )
    assert list(metrics.items()) == [
        ("reference/training_mean_of_1000/test/l2", 0.5),
        ("test/l2", 0.05),
        ("test/max", None),
        ("test@33/l2", 0.1),
    ]


def test_second_report_replaces_the_first(tmp_path):
    write_report(tmp_path, FINDINGS)
    path = write_report(tmp_path, Findings("Second", "", {"test/l2": 1.0}))
    assert "<h1>Second</h1>" in path.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"test/l2": 1.0}


@pytest.mark.parametrize("names", [("a", "a"), ("../a",), ("a/b",), ("",)])
def test_picture_names_that_would_collide_or_leave_the_folder_are_refused(names, tmp_path):
    pictures = [Picture(name, "", b"") for name in names]
    with pytest.raises(ValueError, match="picture name"):
        write_report(tmp_path, Findings("", "", {}, pictures=pictures))
    assert list(tmp_path.iterdir()) == []


def test_figures_keep_their_names():
    assert flat_metrics(Findings("", "", {"test/l2": 0.5, "seconds": 3.0})) == {
        "test/l2": 0.5,
        "seconds": 3.0,
    }


def test_environment_names_versions_and_device(device):
    facts = environment(device)
    assert facts["torch"] == torch.__version__
    assert facts["device"].startswith(device.type)
