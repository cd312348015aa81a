import pytest
import torch

from pdesolve.ops.time_difference import stencil, time_derivative


def test_stencils_are_those_of_the_tables():
    # Fornberg 1988, doi:10.1090/S0025-5718-1988-0935077-0, tables 1 and 3.
    assert stencil([-2, -1, 0, 1, 2]) == [1 / 12, -2 / 3, 0, 2 / 3, -1 / 12]
    backward = [w / 12 for w in (3, -16, 36, -48, 25)]
    assert stencil([-4, -3, -2, -1, 0]) == pytest.approx(backward, abs=0, rel=1e-15)


@pytest.mark.parametrize("order", [2, 4, 6])
def test_polynomials_of_the_order_are_exact_at_every_frame(order, device):
    t = torch.linspace(-1, 1, 9, dtype=torch.float64, device=device)
    frames = (t**order)[None, :, None, None].expand(2, 9, 3, 2)
    found = time_derivative(frames, float(t[1] - t[0]), order=order)
    wanted = (order * t ** (order - 1))[None, :, None, None].expand_as(found)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [4, 6])
def test_error_falls_with_the_order(order):
    def error(count):
        t = torch.linspace(0, 1, count + 1, dtype=torch.float64)
        found = time_derivative(torch.sin(3 * t)[None, :, None], 1 / count, order=order)
        return float((found[0, :, 0] - 3 * torch.cos(3 * t)).abs().max())

    assert 0.6 * 2**order < error(20) / error(40) < 1.6 * 2**order


@pytest.mark.parametrize(("order", "frames", "words"), [(3, 9, "even"), (4, 4, "at least 5")])
def test_what_cannot_be_differenced_is_refused(order, frames, words):
    with pytest.raises(ValueError, match=words):
        time_derivative(torch.zeros(1, frames, 1), 0.1, order=order)
