import time

import pytest
import torch

from pdesolve.evaluation.cost import call_seconds, peak_bytes

NUMBERS = 1000
FLOAT = 4


def test_the_peak_is_that_of_what_lives_at_once(device):
    if device.type == "cuda":
        pytest.skip("the allocator rounds sizes up")

    def call():
        first = torch.ones(NUMBERS)
        second = first + 1
        del first
        third = second * 2
        return third.view(10, -1)

    assert peak_bytes(call, device) == 2 * FLOAT * NUMBERS
    assert peak_bytes(call, device) == 2 * FLOAT * NUMBERS


def test_views_and_what_was_there_before_cost_nothing():
    held = torch.ones(NUMBERS)
    assert peak_bytes(lambda: held.view(10, -1).transpose(0, 1)[2:], torch.device("cpu")) == 0
    assert peak_bytes(lambda: held.mul_(2), torch.device("cpu")) == 0


@pytest.mark.parametrize("layers", [1, 3])
def test_a_backward_pass_holds_what_the_forward_pass_saved(layers):
    x = torch.ones(NUMBERS, requires_grad=True)

    def call():
        y = x
        for _ in range(layers):
            y = y.sin()
        y.sum().backward()
        x.grad = None

    # Each sine but the last is saved for the next; the last, its gradient, and cosine's product.
    peak = peak_bytes(call, torch.device("cpu"))
    assert layers * FLOAT * NUMBERS <= peak <= (layers + 3) * FLOAT * NUMBERS


def test_the_time_of_a_call_is_its_median(device):
    pauses = iter([0.0, 0.02, 0.0, 0.0])

    def call():
        end = time.perf_counter() + next(pauses)
        while time.perf_counter() < end:
            pass

    assert call_seconds(call, device, repeats=3) < 0.01


def test_the_first_call_is_not_timed(device):
    calls = []
    call_seconds(lambda: calls.append(1), device, repeats=2, warm_up=3)
    assert len(calls) == 5
