import math

import torch

from pdesolve import Grid
from pdesolve.evaluation.refinement import estimate_figure, estimate_picture, refinement_pictures


def test_caption_tells_the_ratio_of_estimate_and_truth():
    true = torch.tensor([0.01, 0.02, 0.04, 0.0])
    picture = estimate_picture(1.5 * true, true, prefix="test_")
    assert picture.name == "test_estimates"
    assert "median 1.5, 9 of 10 within 1.5 and 1.5" in picture.caption


def test_points_lie_where_truth_and_estimate_say():
    true, estimated = torch.tensor([0.01, 0.02, 0.5]), torch.tensor([0.02, 0.01, math.nan])
    (axes,) = estimate_figure(estimated, true).axes
    points = axes.lines[-1].get_xydata()
    torch.testing.assert_close(
        torch.from_numpy(points).float(), torch.tensor([[0.01, 0.02], [0.02, 0.01]])
    )


def test_nothing_to_show_is_still_a_picture():
    assert estimate_picture(torch.full((2,), math.nan), torch.zeros(2)).data[:4] == b"\x89PNG"


def test_one_time_has_no_curve_against_time():
    grid = Grid((8, 8), 1.0, True)
    truth = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    after, before = truth + 0.001, 1.1 * truth
    errors = torch.full((2, 3), 0.01).double()
    both = refinement_pictures(before, after, truth, errors, grid=grid, times=[1.0, 2.0, 3.0])
    assert [one.name for one in both] == ["refinement", "refinement_spectra"]
    once = refinement_pictures(
        before[:, :1], after[:, :1], truth[:, :1], errors[:, :1], grid=grid, times=[1.0]
    )
    assert [one.name for one in once] == ["refinement_spectra"]
