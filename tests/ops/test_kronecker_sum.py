import math

import pytest
import torch

from pdesolve.ops.kronecker_sum import KroneckerSum

SHAPES = [(7,), (5, 8), (6, 5, 7)]


def dense_sum(matrices):
    sizes = [m.shape[0] for m in matrices]
    total = torch.zeros(math.prod(sizes), math.prod(sizes), dtype=matrices[0].dtype)
    for j, matrix in enumerate(matrices):
        before, after = math.prod(sizes[:j]), math.prod(sizes[j + 1 :])
        eye = [torch.eye(n, dtype=matrix.dtype) for n in (before, after)]
        total += torch.kron(torch.kron(eye[0], matrix), eye[1])
    return total


def well_posed(shape, generator, symmetric=False):
    """Random matrices with eigenvalues in the right half plane."""
    matrices = []
    for n in shape:
        m = torch.randn(n, n, generator=generator, dtype=torch.float64) / math.sqrt(n)
        m = m + m.mT if symmetric else m
        matrices.append(m + 3 * torch.eye(n, dtype=m.dtype))
    return matrices


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("condition_limit", [1e7, 0.0])
def test_solution_equals_the_dense_one(device, generator, shape, symmetric, condition_limit):
    matrices = well_posed(shape, generator, symmetric)
    f = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    dense = dense_sum(matrices) + 0.7 * torch.eye(f[0].numel(), dtype=f.dtype)
    expected = torch.linalg.solve(dense, f.flatten(1).mT).mT.reshape(f.shape)
    operator = KroneckerSum([m.to(device) for m in matrices], condition_limit=condition_limit)
    found = operator.solve(f.to(device), shift=0.7).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
