import subprocess
import sys

import pytest
import torch
from torch import nn

from pdesolve.datasets import from_arrays
from pdesolve.evaluation import per_sample
from pdesolve.evaluation.pictures import (
    draw_samples,
    gallery,
    loss_picture,
    rollout_picture,
)
from pdesolve.evaluation.rollout import RolloutErrors
from pdesolve.grid import Grid


def size(png):
    """Width and height, from the first chunk that every PNG begins with."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


@pytest.fixture
def dataset(generator):
    x = torch.randn(4, 1, 6, 6, generator=generator)
    names = {"input_names": ["coefficient"], "output_names": ["solution"]}
    return from_arrays(x, 2 * x, grid=Grid((6, 6), 1.0, True), units={"solution": "K"}, **names)


def test_gallery_shows_the_worst_sample_first_then_curves(dataset):
    model = nn.Identity()
    l2 = per_sample(model, dataset)["l2"] + torch.tensor([0.0, 3.0, 1.0, 2.0])
    pictures = gallery(model, dataset, l2, training_grid=dataset.grid, prefix="test_")
    assert [picture.name for picture in pictures] == [
        "test_worst_sample",
        "test_median_sample",
        "test_best_sample",
        "test_error_histogram",
        "test_spectra",
    ]
    assert [picture.caption.split(",")[0] for picture in pictures[:3]] == [
        "Sample 1 on 6 × 6 points",
        "Sample 2 on 6 × 6 points",
        "Sample 0 on 6 × 6 points",
    ]
    assert {size(picture.data)[0] for picture in pictures[:3]} == {1800}
    assert size(pictures[4].data) == (1050, 630)


def test_loss_picture_is_a_png():
    assert size(loss_picture([{"epoch": 1, "train/loss": 0.5}]).data) == (1050, 570)


def test_rollout_picture_is_a_png():
    l2 = torch.rand(3, 4, dtype=torch.float64)
    picture = rollout_picture(RolloutErrors((1.0, 2.0, 3.0, 4.0), l2, l2[:, 0], l2, l2[:, 0]))
    assert (picture.name, picture.data[:4]) == ("rollout", b"\x89PNG")


def test_stored_samples_are_written(dataset, tmp_path):
    draw_samples(tmp_path / "train.png", dataset.batch(range(2)), dataset)
    assert size((tmp_path / "train.png").read_bytes())[0] == 900


def test_numbers_need_no_matplotlib():
    # In a process of its own: modules imported anew would not be those of other tests.
    code = "import sys; sys.modules['matplotlib'] = None; import pdesolve.evaluation.report"
    subprocess.run([sys.executable, "-c", code], check=True)
