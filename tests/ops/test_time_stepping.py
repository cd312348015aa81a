"""Every step against the closed solution of one equation, dv/dt = λ v + v²."""

import math

import pytest
import torch

from pdesolve.ops.time_stepping import SCHEMES

ORDERS = {"ifrk4": 4, "etdrk4": 4, "heun_cn": 2, "rk4_cn": 2, "cn_euler": 1}
LINEAR = torch.tensor([-3.0, -1.0, -0.2], dtype=torch.float64)
START = torch.tensor([0.5, -0.7, 0.3], dtype=torch.float64)


def exact(time: float) -> torch.Tensor:
    growth = torch.exp(LINEAR * time)
    return LINEAR * START * growth / (LINEAR + START * (1 - growth))


def error(scheme: str, steps: int) -> float:
    step = SCHEMES[scheme](LINEAR, 1 / steps, like=START)
    v = START
    for _ in range(steps):
        v = step(v, torch.square)
    return float((v - exact(1.0)).abs().max())


def test_every_scheme_has_a_known_order():
    assert ORDERS.keys() == SCHEMES.keys()


@pytest.mark.parametrize(("scheme", "order"), ORDERS.items())
def test_halving_the_step_shows_the_order(scheme, order):
    order_seen = math.log2(error(scheme, 40) / error(scheme, 80))
    assert order_seen == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("scheme", "order"), ORDERS.items())
def test_one_step_is_the_exponential_series_up_to_the_order(scheme, order):
    # For N(v) = z v one step is a polynomial in z, which its values on the unit circle give; a
    # digit lost in a coefficient shows here long before it shows in an order.
    z = torch.exp(2j * math.pi * torch.arange(8, dtype=torch.float64) / 8)
    order = {"rk4_cn": 4}.get(scheme, order)
    step = SCHEMES[scheme](torch.zeros(8, dtype=torch.float64), 1.0, like=z)
    found = torch.fft.fft(step(torch.ones_like(z), lambda v: z * v), norm="forward")
    expected = [1 / math.factorial(power) for power in range(order + 1)]
    # The published coefficients have thirteen digits.
    assert found[: order + 1].real.tolist() == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("scheme", ["ifrk4", "etdrk4"])
def test_the_linear_part_is_exact_for_any_step(scheme):
    step = SCHEMES[scheme](LINEAR, 5.0, like=START)
    assert torch.allclose(step(START, torch.zeros_like), START * torch.exp(5 * LINEAR), rtol=1e-13)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_stiff_modes_never_grow(scheme):
    stiff = torch.tensor([-1e6, -1e3, 0.0], dtype=torch.float64)
    step = SCHEMES[scheme](stiff, 1.0, like=START)
    assert bool((step(START, torch.zeros_like).abs() <= START.abs() * (1 + 1e-12)).all())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_state_is_left_alone(scheme):
    v = START.clone()
    SCHEMES[scheme](LINEAR, 0.1, like=v)(v, torch.square)
    assert torch.equal(v, START)


# torch's forward mode compiles its own rules with what newer releases deprecate.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_and_tangents_agree_with_differences(scheme):
    step = SCHEMES[scheme](LINEAR, 0.1, like=START)
    state = START.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: step(v, torch.square), (state,), check_forward_ad=True
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_result_has_the_dtype_of_the_state(scheme, dtype, device):
    v = START.to(device=device, dtype=dtype)
    step = SCHEMES[scheme](LINEAR.to(device), 0.1, like=v)
    found = step(v, torch.square)
    assert found.dtype == dtype
    reference = SCHEMES[scheme](LINEAR, 0.1, like=START)(START, torch.square)
    assert torch.allclose(found.cpu().to(torch.complex128).real, reference, rtol=1e-5)
