"""Evolutions from slab to slab, and evolutions whose iteration needs patience."""

import pytest
import torch

from pdesolve.gp.expansion import Expansion
from pdesolve.gp.features import Features
from pdesolve.gp.manufactured import Manufactured, error
from pdesolve.gp.many_dimensions import attempted
from pdesolve.gp.misfit import misfits
from pdesolve.gp.problem import problem_of
from pdesolve.gp.slabs import Slabs, is_evolution, march, slab

LINEAR = Manufactured(
    "u_t - 0.2*u_xx", "exp(-0.2*9*t)*sin(3*x) + x*t", [62, 30], [1.0, 2.0], axes="tx",
    conditions=["initial", "dirichlet"],
)  # fmt: skip
WAVE = Manufactured(
    "u_tt - u_xx + u**3", "sin(3*x)*cos(2*t)", [62, 36], [2.0, 1.5], axes="tx",
    conditions=["cauchy", "dirichlet"],
)  # fmt: skip


def problem(given, source=None):
    return problem_of(
        given.residual, given.grid, source=given.source if source is None else source,
        boundary=given.boundary,
    )  # fmt: skip


def solved(own):
    bands = [((0.0, 4 / axis.length),) for axis in own.axes]
    attempt = attempted(own, "", bands)
    assert attempt is not None
    return attempt.expansion


# A wave that enters a slab does not quite fit its walls, and four bins of time hold no more.
@pytest.mark.parametrize(("given", "allowed"), [(LINEAR, 1e-6), (WAVE, 3e-4)])
@pytest.mark.parametrize("count", [1, 2])
def test_slabs_follow_the_solution(given, count, allowed):
    whole = problem(given)
    found = march(whole, count, solved)
    assert isinstance(found, Slabs) and len(found.parts) == count
    assert error(found, given.exact, given.grid) < allowed
    assert misfits(whole, found)[1] < allowed


def test_a_stored_source_is_moved_like_a_function():
    stored = LINEAR.source(*LINEAR.grid.coordinates())
    found = march(problem(LINEAR, stored), 2, solved)
    assert error(found, LINEAR.exact, LINEAR.grid) < 1e-6


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def slabs():
    bases = [Features(numbers(0.5), 0.0)] * 2
    cores = numbers([[1.0, 2.0], [3.0, 4.0]], [[-1.0, 0.5], [0.0, 2.0]])
    return Slabs([Expansion(bases, core) for core in cores], numbers(0.0, 0.7))


@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (0, 2)])
def test_values_are_those_of_the_part_in_its_own_time(orders):
    found, x = slabs(), numbers(0.2, 0.9)
    t = numbers(1.3, 0.0, 0.7)
    first, second = found.parts
    truth = torch.cat([
        second([t[:1] - 0.7, x], orders), first([t[1:], x], orders),
    ])  # fmt: skip
    torch.testing.assert_close(found([t, x], orders), truth)
    pairs = torch.stack([t[:2], x], 1)
    torch.testing.assert_close(found.scattered(pairs, orders), truth[[0, 1], [0, 1]])


def test_blocks_are_the_values_row_by_row():
    found, x = slabs(), numbers(0.2, 0.9)
    t = torch.linspace(0, 1.4, 9).double()
    seen = torch.zeros(2, 9, 2).double()
    for rows, (times, _), values in found.blocks([t, x], [(0, 0), (1, 0)]):
        assert torch.equal(times, t[rows])
        seen[:, rows] = values
    truth = torch.stack([found([t, x]), found([t, x], (1, 0))])
    torch.testing.assert_close(seen, truth)


def test_a_slab_that_is_not_solved_ends_the_march():
    assert march(problem(LINEAR), 2, lambda own: None) is None


def test_a_slab_begins_with_the_end_of_the_last_one():
    whole = problem(WAVE)
    own = slab(whole, 30, 61, march(whole, 1, solved))
    at = whole.nodes[0][30:31]
    for functional, order in zip(own.functionals[:2], (0, 1), strict=True):
        truth = WAVE.exact.derivative((order, 0))(at[:, None], whole.nodes[1])[0]
        found = functional.data(own.nodes)
        torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)


def test_only_data_at_the_beginning_make_an_evolution():
    elliptic = Manufactured("u_xx + u_yy", "sin(x)*y", [20, 20], axes="xy")
    assert is_evolution(problem(LINEAR)) and not is_evolution(problem(elliptic))


def test_an_unstable_evolution_needs_patience_and_gets_it():
    # Two wells: what is linearised around zero grows like exp(t).
    given = Manufactured(
        "u_tt - u_xx + u**3 - u", "tanh(x - 2 - 0.3*t)", [32, 36], [5.0, 4.0], axes="tx",
        conditions=["cauchy", "dirichlet"],
    )  # fmt: skip
    whole = problem(given)
    attempt = attempted(whole, "", [((0.0, 4 / axis.length),) for axis in whole.axes])
    assert attempt is not None and attempt.contracted
    assert error(attempt.expansion, given.exact, given.grid) < 1e-2
