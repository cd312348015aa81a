import pytest
import torch

from pdesolve.ops import pairs


def random(*shape, generator, device):
    return torch.randn(*shape, generator=generator, dtype=torch.complex128).to(device)


def close(parts, expected):
    torch.testing.assert_close(torch.complex(*parts), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [(5,), (3, 4), (2, 3, 4)])
def test_times_is_the_complex_product_for_each_mode(k, device, generator):
    rows = random(*k, 3, 4, generator=generator, device=device)
    matrices = random(*k, 4, 5, generator=generator, device=device)
    found = pairs.times((rows.real, rows.imag), torch.view_as_real(matrices))
    close(found, rows @ matrices)


def test_times_shared_is_the_complex_product(device, generator):
    rows = random(2, 3, 4, generator=generator, device=device)
    matrix = random(4, 5, generator=generator, device=device)
    found = pairs.times_shared((rows.real, rows.imag), torch.view_as_real(matrix))
    close(found, rows @ matrix)


def test_scaled_is_the_complex_product_with_a_diagonal(device, generator):
    rows = random(2, 3, 4, 5, generator=generator, device=device)
    numbers = random(2, 3, 5, generator=generator, device=device)
    found = pairs.scaled((rows.real, rows.imag), torch.view_as_real(numbers))
    close(found, rows * numbers[:, :, None])


def test_rotated_is_the_product_with_i(device, generator):
    z = random(3, 4, generator=generator, device=device)
    close(pairs.rotated(torch.view_as_real(z)).unbind(-1), 1j * z)
