import pytest
import scipy.linalg
import torch

from pdesolve.ops.toeplitz import even_toeplitz, toeplitz


@pytest.mark.parametrize(("m", "n"), [(5, 5), (4, 7), (6, 1)])
def test_entries_depend_on_the_diagonal_as_in_scipy(device, generator, m, n):
    column = torch.randn(m, generator=generator, dtype=torch.float64)
    row = torch.randn(n, generator=generator, dtype=torch.float64)
    row[0] = column[0]
    expected = torch.from_numpy(scipy.linalg.toeplitz(column, row))
    assert torch.equal(toeplitz(column.to(device), row.to(device)).cpu(), expected)


@pytest.mark.parametrize("parity", [0, 1, 2, 3])
def test_parity_decides_between_symmetric_and_skew(generator, parity):
    column = torch.randn(6, generator=generator, dtype=torch.float64)
    column[0] = 0.0 if parity % 2 else column[0]
    matrix = even_toeplitz(column, parity=parity)
    assert torch.equal(matrix.mT, (-1) ** parity * matrix)
    assert torch.equal(matrix[:, 0], column)
