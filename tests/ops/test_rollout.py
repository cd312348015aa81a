from functools import partial

import pytest
import torch

from pdesolve import Grid
from pdesolve.ops.rollout import frame_rollout, pushed, rollout
from pdesolve.pde import Advection


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_of_a_linear_step_are_powers(device, dtype):
    state = torch.tensor([[[1.0, -2.0, 3.0]], [[0.5, 0.0, 1.0]]], dtype=dtype, device=device)
    states = rollout(lambda u: -3 * u, state, 4)
    powers = torch.tensor([-3.0, 9.0, -27.0, 81.0], dtype=dtype, device=device)
    assert torch.equal(states, powers.reshape(1, 4, 1, 1) * state[:, None])


def test_a_reference_stepper_rolls_out():
    grid = Grid((9,), 1.0, True)
    equation = Advection(velocity=(1.0,))
    u = torch.sin(2 * torch.pi * grid.axis(0))[None]
    # One period in nine steps of a cell.
    states = rollout(partial(equation.step, dt=1 / 9, grid=grid), u, 9)
    assert torch.allclose(states[:, 0], u.roll(1, 1), rtol=0, atol=1e-12)
    assert torch.allclose(states[:, -1], u, rtol=0, atol=1e-12)


def channels(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1)


@pytest.mark.parametrize(
    ("x", "new", "fixed", "expected"),
    [
        ((1, 2, 3), (4,), 0, (2, 3, 4)),
        ((9, 1, 2, 3), (4, 5), 1, (9, 3, 4, 5)),
        ((9, 8, 1), (2, 3, 4), 2, (9, 8, 4)),
        ((1, 2), (3, 4), 0, (3, 4)),
    ],
)
def test_newest_frames_push_the_oldest_out(x, new, fixed, expected):
    assert torch.equal(pushed(channels(*x), channels(*new), fixed=fixed), channels(*expected))


def test_each_call_sees_the_frames_before_it():
    # Fibonacci numbers: the sum of a window of two.
    frames = frame_rollout([lambda x: x.sum(1, keepdim=True)] * 6, channels(1, 1))
    assert [float(frame) for frame in frames] == [2, 3, 5, 8, 13, 21]


@pytest.mark.parametrize(("detach", "expected"), [(False, 8.0), (True, 4.0)])
def test_gradient_flows_between_calls_unless_detached(detach, expected):
    # û_2 = a (a 2), whose derivative at a = 2 is 4a = 8; with û_1 = 4 held fixed it is 4.
    a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    frames = frame_rollout([lambda x: a * x] * 2, channels(2.0), detach=detach)
    frames[-1].sum().backward()
    assert a.grad == expected
