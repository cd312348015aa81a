"""Pictures of a solver: what is drawn is what was given."""

import pytest
import torch

from pdesolve.evaluation.solver import candidates_figure, spectra_figure


def lines(count):
    return [
        {
            "prior": f"p{i}",
            "functions": "9",
            "residual": 10.0**-i,
            "boundary": 0.0,
            "chosen": i == 3,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [4, 40])
def test_the_best_candidates_are_drawn(count):
    figure = candidates_figure(lines(count))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[-1] == f"p{count - 1} (9)"
    assert len(names) == min(count, 24)


def test_every_axis_shows_its_bands_and_nyquist():
    frequencies = torch.linspace(0, 5, 20).double()
    spectra = [(frequencies, torch.rand(20, generator=torch.Generator().manual_seed(0)), 4.0)] * 2
    figure = spectra_figure(spectra, [((0.0, 1.0),), ((0.0, 1.0), (2.0, 3.0))])
    assert [len(axes.patches) for axes in figure.axes] == [1, 2]
