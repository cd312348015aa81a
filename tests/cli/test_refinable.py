import pytest
import torch

from pdesolve.batch import Batch
from pdesolve.cli.refinable import estimator_of, refinable
from pdesolve.datasets import AtTimes, Pairs, Window, from_arrays, open_dataset


@pytest.fixture
def flow(flow_made_once):
    return flow_made_once / "data/navier_stokes_demo"


def disturbed(data):
    """The whole of a dataset as a batch, targets that are 2 % wrong, and their true errors."""
    batch = data.batch(range(len(data)))
    noise = batch.y.roll(1, 2)
    wrong = batch.y + 0.02 * batch.y.norm() / noise.norm() * noise
    true = (wrong - batch.y).flatten(1).norm(dim=1) / batch.y.flatten(1).norm(dim=1)
    return batch, wrong, true


@pytest.mark.parametrize(
    ("window", "kind"),
    [(Window(2, 3, 0), "frames"), (Window(1, 2), "frames"), (Pairs("next"), "lead"),
     (Pairs("all2all", identity=True), "lead")],
)  # fmt: skip
def test_error_of_every_layout_of_frames_is_estimated(flow, window, kind):
    data = open_dataset(flow, split="test", window=window)
    asked = refinable(data)
    assert asked.kind == kind
    batch, wrong, true = disturbed(data)
    estimated = asked.estimates(batch, wrong)
    # Stored values are low-pass parts of a finer flow, rounded to float32.
    torch.testing.assert_close(estimated, true.double(), rtol=0.2, atol=2e-3)


def test_refined_frames_have_the_layout_of_the_prediction(flow):
    data = open_dataset(flow, split="test", window=Window(2, 3, 0))
    batch, wrong, _ = disturbed(data)
    asked = refinable(data)
    value = asked.layout(asked.solution(batch, wrong, method="sweep").value)
    assert value.shape == wrong.shape
    assert (value - batch.y).norm() < 0.5 * (wrong - batch.y).norm()
    classical, seconds = asked.classical(batch)
    assert classical.shape == wrong.shape
    assert seconds > 0
    assert (classical - batch.y).norm() < 2e-3 * batch.y.norm()


def test_whole_record_from_the_initial_state_is_asked(flow):
    data = open_dataset(flow, split="test", window=AtTimes("all"))
    asked = refinable(data)
    assert (asked.kind, asked.step, asked.fields) == ("frames", 1.0, [""])
    batch, wrong, true = disturbed(data)
    torch.testing.assert_close(asked.estimates(batch, wrong), true.double(), rtol=0.2, atol=2e-3)


def test_darcy_is_asked_for_its_correction(made_once):
    data = open_dataset(made_once / "data/darcy_demo", split="test")
    batch, wrong, true = disturbed(data)
    torch.testing.assert_close(
        estimator_of(data)(batch, wrong), true.double(), rtol=2e-2, atol=1e-4
    )


def arrays(**options):
    return from_arrays(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8), **options)


def test_data_without_an_equation_say_so():
    assert refinable(arrays()) == "the data names no equation"
    assert estimator_of(arrays()) is None


@pytest.mark.parametrize(
    ("equation", "reason"),
    [("Beam", "neither a stepper nor a correction"), ("Unknown", "knows no equation 'Unknown'"),
     ("Darcy", "are not those of the equation, ['coefficient']"), ("Burgers1d", "is no input")],
)  # fmt: skip
def test_data_that_cannot_be_asked_tell_why(equation, reason):
    data = arrays()
    data.equation = equation
    assert reason in refinable(data)


def test_sub_grids_and_several_unknowns_tell_why(flow):
    data = open_dataset(flow, split="test", window=Window(2, 2, 0))
    data.output_names = ("velocity_x@1", "velocity_y@1", "velocity_x@2", "velocity_y@2")
    assert "one unknown" in refinable(data)
    assert isinstance(data.batch([0]), Batch)
