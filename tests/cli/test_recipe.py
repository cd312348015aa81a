import numpy as np
import torch

from pdesolve import Grid
from pdesolve.cli.recipe import Recipe, one_thread, sample_seed
from pdesolve.pde import FisherKPP, Poisson

GRID = Grid((9, 7), 1.0, False)


def test_splits_never_share_a_seed():
    seeds = [sample_seed(0, split, index) for split in range(3) for index in range(500)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_sample_solves_the_equation_for_the_input_of_its_seed():
    recipe = Recipe(Poisson(modes=8), GRID, seed=3, split=1)
    first, second = recipe.samples(range(4, 6))
    assert (first["seed"], second["seed"]) == (sample_seed(3, 1, 4), sample_seed(3, 1, 5))
    generator = torch.Generator().manual_seed(second["seed"])
    drawn = Poisson(modes=8).random_inputs(GRID, [generator])["source"][0]
    assert np.array_equal(second["fields"]["source"], drawn.float().numpy())
    assert second["fields"]["solution"].dtype == np.float32
    assert second["residual"] < 1e-8
    assert not second["rejected"]


def test_numbers_that_an_equation_draws_are_parameters():
    equation = FisherKPP(times=(0.1, 0.2), forms=("cubic",), rates=(0.5,))
    (sample,) = Recipe(equation, Grid((16,), 1.0, False), 0, 0).samples(range(1))
    expected = {"form": 1.0, "linear": 0.5, "quadratic": 0.0, "cubic": -0.5, "quartic": 0.0}
    assert sample["parameters"] == expected
    assert sample["fields"]["density"].shape == (2, 16)


def test_threads_come_back():
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
