import pytest
import torch

from pdesolve.ops.factors import product, times_factors, times_row


@pytest.fixture
def random(generator, device):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.complex128).to(device)

    return draw


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "ranks", "sizes"),
    [("ars,ia->irs", (2, 3, 4), (5,)), ("abr,ia,jb->ijr", (2, 3, 4), (5, 6)),
     ("abcr,ia,jb,kc->ijkr", (2, 3, 4, 2), (5, 3, 6))],
)  # fmt: skip
def test_factors_multiply_the_first_axes_of_a_core(formula, ranks, sizes, random):
    core = random(*ranks)
    factors = [random(n, r) for n, r in zip(sizes, ranks, strict=False)]
    planes = torch.stack([core.real, core.imag])
    found = times_factors(planes, [torch.view_as_real(f) for f in factors])
    real, imaginary = found.unbind(len(sizes))
    close(torch.complex(real, imaginary), torch.einsum(formula, core, *factors))


def test_a_row_contracts_the_first_axis(random):
    tensor, row = random(3, 4, 5), random(3)
    found = times_row(torch.view_as_real(tensor), torch.view_as_real(row))
    close(torch.view_as_complex(found), torch.tensordot(row, tensor, 1))


def test_product_is_the_complex_product(random):
    left, right = random(3, 1, 4), random(2, 4)
    found = product(torch.view_as_real(left), torch.view_as_real(right))
    close(torch.view_as_complex(found), left * right)
