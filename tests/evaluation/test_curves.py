import math

import pytest
import torch

from pdesolve.evaluation.curves import (
    error_histogram,
    loss_curves,
    rollout_curves,
    spectra_figure,
)
from pdesolve.evaluation.rollout import RolloutErrors
from pdesolve.evaluation.spectra import Spectra


def test_spectra_leave_out_the_mean_and_mark_the_training_grid():
    kappa = torch.tensor([0.0, 1.0, 2.0, 4.0])
    energy = torch.tensor([9.0, 3.0, 0.0, 1.0])
    spectra = Spectra(kappa, energy, energy, energy / 10)
    (axes,) = spectra_figure(spectra, training_cutoff=2.5, length_unit="m").axes
    truth, _, error, mark = axes.lines
    assert truth.get_xdata() == pytest.approx([1, 2, 4])
    assert error.get_ydata() == pytest.approx([0.3, math.nan, 0.1], nan_ok=True)
    assert mark.get_xdata() == [2.5, 2.5]
    assert axes.get_xlabel() == "wavenumber |κ| (1/m)"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_histogram_counts_every_sample_and_names_mean_and_median():
    (axes,) = error_histogram(torch.tensor([0.1, 0.1, 0.1, 0.5])).axes
    assert sum(bar.get_height() for bar in axes.patches) == 4
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "mean 0.2",
        "median 0.1",
    ]


def test_histogram_says_how_many_samples_are_not_finite():
    (axes,) = error_histogram(torch.tensor([0.1, math.nan, math.inf])).axes
    assert axes.get_title() == "2 more samples are not finite"


def test_loss_curves_ring_the_best_validation_and_skip_what_is_missing():
    history = [
        {"epoch": 1, "train/loss": 1.0, "valid/l2": 0.9, "rate": 0.1},
        {"epoch": 2, "train/loss": 0.7, "rate": 0.1},
        {"epoch": 3, "train/loss": 0.5, "valid/l2": 0.4, "rate": 0.1},
        {"epoch": 4, "train/loss": None, "valid/l2": 0.6, "rate": 0.1},
    ]
    (axes,) = loss_curves(history).axes
    train, valid, ring = axes.lines
    assert list(train.get_xdata()) == [1, 2, 3]
    assert list(valid.get_xdata()) == [1, 3, 4]
    assert (ring.get_xdata(), ring.get_ydata()) == ([3], [0.4])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training loss", "validation relative L2 error"]


def test_rollout_curves_show_the_median_the_band_and_standing_still():
    l2 = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0])
    still = torch.full((11, 2), 0.7, dtype=torch.float64)
    errors = RolloutErrors((1.0, 2.0), l2, l2[:, 0], still, still[:, 0])
    (axes,) = rollout_curves(errors, time_unit="s").axes
    median, persistence = axes.lines
    assert median.get_ydata() == pytest.approx([0.5, 1.0])
    assert persistence.get_ydata() == pytest.approx([0.7, 0.7])
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[corners[:, 0] == 2.0, 1].min() == pytest.approx(0.2)
    assert corners[corners[:, 0] == 2.0, 1].max() == pytest.approx(1.8)
    assert axes.get_xlabel() == "time (s)"


def test_rollouts_that_blow_up_leave_the_picture_above():
    l2 = torch.tensor([[0.1, math.nan], [0.2, math.inf], [0.3, 0.9]], dtype=torch.float64)
    errors = RolloutErrors((1.0, 2.0), l2, l2[:, 0], l2[:, :1].expand(3, 2), l2[:, 0])
    (axes,) = rollout_curves(errors).axes
    assert axes.lines[0].get_ydata() == pytest.approx([0.2, math.nan], nan_ok=True)
    assert axes.get_ylim()[1] < 2
