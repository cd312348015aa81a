"""Recorded trajectories: tolerance, times, samples on their own, and defects."""

import math

import pytest
import torch

from pdesolve import ConvergenceError, Grid
from pdesolve.ops.recording import (
    defect,
    record,
    recorded_defect,
    recorded_solution,
    relative_change,
)


def midpoint(state, duration, substeps, rows):
    """Decay u' = -u by the midpoint rule, of order two."""
    h = duration / substeps
    return state * (1 - h + h**2 / 2) ** substeps


def test_frames_lie_at_the_asked_times_within_the_tolerance(device):
    initial = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64, device=device)
    frames, change, _ = record(midpoint, initial, (0.0, 0.5, 2.0), tolerance=1e-7)
    decay = torch.exp(-torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64, device=device))
    # Two intervals, and order two: the error is a third of the change.
    torch.testing.assert_close(frames, initial[:, None] * decay[None, :, None], rtol=1e-7, atol=0)
    assert torch.equal(frames[:, 0], initial)
    assert bool((change <= 1e-7).all())


def test_each_sample_takes_the_steps_that_it_needs():
    rates = torch.tensor([1.0, 10.0], dtype=torch.float64)

    def advance(state, duration, substeps, rows):
        h = duration / substeps * rates[rows, None]
        return state * (1 - h + h**2 / 2) ** substeps

    both = record(advance, torch.ones(2, 3).double(), (1.0,), tolerance=1e-6)
    alone = record(
        lambda u, t, n, rows: advance(u, t, n, rows + 1), torch.ones(1, 3).double(), (1.0,),
        tolerance=1e-6,
    )  # fmt: skip
    assert int(both.substeps[0]) < int(both.substeps[1]) == int(alone.substeps[0])
    assert torch.equal(both.frames[1], alone.frames[0])


def test_what_does_not_settle_is_told_by_the_change():
    unstable = lambda u, t, n, rows: u + n  # noqa: E731
    found = record(unstable, torch.ones(1, 2).double(), (1.0,), tolerance=1e-3, max_substeps=64)
    assert float(found.change) == pytest.approx(32 / 65) and int(found.substeps) == 64
    overflown = record(
        lambda u, t, n, rows: u * math.nan, torch.ones(1, 2), (1.0,), tolerance=1, max_substeps=8
    )
    assert not bool((overflown.change <= 1).any())


@pytest.mark.parametrize("times", [(), (0.0, 0.0), (1.0, 0.5), (-1.0, 1.0)])
def test_times_must_increase(times):
    with pytest.raises(ValueError, match="expected increasing numbers"):
        record(midpoint, torch.ones(1, 2), times, tolerance=1e-3)


def test_defect_is_zero_for_a_trajectory_and_the_size_of_a_wrong_frame():
    times, initial = (0.0, 1.0, 3.0), torch.ones(2, 4, dtype=torch.float64)
    frames = torch.exp(-torch.tensor(times, dtype=torch.float64))[None, :, None].repeat(2, 1, 4)
    decay = lambda u, duration: u * math.exp(-duration)  # noqa: E731
    assert float(defect(decay, frames, initial, times).max()) < 1e-15
    frames[1, 2] += 0.1
    size = math.sqrt(1 + math.exp(-2) + (math.exp(-3) + 0.1) ** 2)
    assert defect(decay, frames, initial, times).tolist() == pytest.approx([0, 0.1 / size])


def test_a_wrong_first_frame_is_seen():
    frames = torch.full((1, 1, 4), 1.1, dtype=torch.float64)
    found = defect(lambda u, duration: u, frames, torch.ones(1, 4).double(), (0.0,))
    assert float(found) == pytest.approx(0.1 / 1.1)


def test_change_of_zero_fields_is_zero():
    assert relative_change(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0.0, 0.0]


def test_a_recorded_solution_is_made_in_float64_and_has_the_dtype_of_its_start():
    initial = torch.tensor([[1.0, 2.0, 4.0]])
    solution = recorded_solution(
        midpoint, initial, (0.5, 1.0), grid=Grid((3,), 1.0, True), tolerance=1e-9,
        max_substeps=2**16, advice="", raise_on_failure=True,
    )  # fmt: skip
    assert solution.value.shape == (1, 1, 2, 3) and solution.value.dtype == torch.float32
    torch.testing.assert_close(solution.value[:, 0, 1], initial * math.exp(-1), rtol=1e-6, atol=0)
    assert float(solution.stats["residual"]) <= 1e-9


def test_a_sample_that_does_not_settle_is_an_error_with_the_advice():
    with pytest.raises(ConvergenceError, match=r"1 of 1 samples .* by \S+: take smaller breaths"):
        recorded_solution(
            midpoint, torch.ones(1, 3), (1.0,), grid=Grid((3,), 1.0, True), tolerance=1e-9,
            max_substeps=4, advice="take smaller breaths", raise_on_failure=True,
        )  # fmt: skip


def test_recorded_defect_needs_no_step_size():
    frames = math.exp(-1) * torch.ones(1, 1, 4)
    found = recorded_defect(midpoint, frames, torch.ones(1, 4), (1.0,), tolerance=1e-9)
    # Rounding of the float32 frames.
    assert float(found) < 1e-7
