import io

import numpy as np
import pytest
import torch
from PIL import Image

from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, Pairs, Window, open_dataset
from pdesolve.evaluation import movie
from pdesolve.evaluation.fields import Names
from pdesolve.evaluation.movie import gif, rollout_gif

NAMES = Names((), ("u", "v"), {"u": "m"})


def pictures(data):
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.info["loop"]) == ("GIF", 0)
    frames = []
    for k in range(image.n_frames):
        image.seek(k)
        frames.append(np.asarray(image.convert("RGB")).astype(int))
    return frames, image.info["duration"]


@pytest.mark.parametrize("shape", [(9,), (4, 5, 3)])
def test_a_movie_shows_each_time(shape, generator):
    truth = torch.randn(2, 2, *shape, generator=generator)
    grid = Grid(shape, 1.0, True)
    frames, pause = pictures(gif(truth, 0.9 * truth, (0.1, 0.2), grid=grid, names=NAMES))
    assert len(frames) == 2
    assert len({frame.shape for frame in frames}) == 1
    assert np.abs(frames[0] - frames[1]).max() > 50
    assert pause == 600


def test_places_and_scales_stay_over_time(generator):
    truth = torch.randn(1, 1, 6, 8, generator=generator) * torch.tensor([1.0, 0.1]).reshape(
        2, 1, 1, 1
    )
    frames, _ = pictures(gif(truth, truth, (0, 1), grid=Grid((6, 8), 1.0, True), names=NAMES))
    changed = np.abs(frames[0] - frames[1]).max(2) > 30
    # Colour bars and labels below the maps are the same.
    assert not changed[int(0.8 * len(changed)) :].any()


def test_long_rollouts_show_some_times_and_the_last(monkeypatch):
    monkeypatch.setattr(movie, "MAX_PICTURES", 3)
    monkeypatch.setattr(movie, "SHORTEST", 0.0)
    monkeypatch.setattr(movie, "DURATION", 0.3)
    truth = torch.linspace(0, 1, 8).reshape(-1, 1, 1).expand(-1, 1, 8)
    grid = Grid((8,), 1.0, True)
    frames, pause = pictures(gif(truth, truth, range(8), grid=grid, names=NAMES))
    last, _ = pictures(gif(truth[-1:], truth[-1:], [7], grid=grid, names=NAMES))
    assert len(frames) == 3
    assert pause == 100
    assert np.abs(frames[-1] - last[0]).mean() < 30


def test_predictions_that_blow_up_are_drawn():
    truth = torch.ones(2, 1, 4, 4)
    wild = truth * torch.tensor([1.0, torch.inf]).reshape(2, 1, 1, 1)
    frames, _ = pictures(gif(truth, wild, (0, 1), grid=Grid((4, 4), 1.0, True), names=NAMES))
    assert len(frames) == 2


@pytest.mark.parametrize("window", [Window(1, 1), Pairs("next")])
def test_a_rollout_of_any_operator_becomes_a_movie(window, tmp_path):
    fields = (FieldSpec("u", "output", time_varying=True),)
    spec = DatasetSpec("d", Grid((6,), 1.0, True), fields, times=(0.0, 1.0, 2.0, 3.0))
    with DatasetWriter(tmp_path / "d.h5", spec, 1, provenance={}) as writer:
        writer.write(0, {"u": np.random.default_rng(0).normal(size=(4, 6))}, seed=0)
        path = writer.finish()

    def still(x, condition=None):
        return x

    frames, _ = pictures(rollout_gif(still, open_dataset(path, window=window)))
    assert len(frames) == 3
