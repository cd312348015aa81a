import math
import subprocess
import sys

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


def rotations(n, generator):
    """A matrix whose eigenvalues are complex pairs and, for odd n, one real."""
    blocks = [torch.tensor([[1.0, a], [-a, 1.0]]) for a in torch.arange(1, n // 2 + 1).tolist()]
    blocks += [torch.ones(1, 1)] * (n % 2)
    mixing = torch.randn(n, n, generator=generator, dtype=torch.float64) + n * torch.eye(n)
    return mixing @ torch.block_diag(*blocks).double() @ torch.linalg.inv(mixing)


def defective(n):
    """Initial value problems: one Jordan block has no basis of eigenvectors."""
    return 2 * torch.eye(n, dtype=torch.float64) + torch.diag(torch.ones(n - 1), 1).double()


@pytest.mark.parametrize("kinds", ["pp", "pd", "dp", "dd", "sp", "ds", "pdp", "dpd", "ddd", "spd"])
def test_axes_of_every_kind_go_together(device, generator, kinds):
    """p complex pairs, d defective (Schur form), s symmetric."""
    made = {"p": lambda n: rotations(n, generator), "d": defective}
    made["s"] = lambda n: well_posed([n], generator, symmetric=True)[0]
    matrices = [made[kind](n) for kind, n in zip(kinds, (7, 6, 5), strict=False)]
    shape = tuple(len(m) for m in matrices)
    f = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    dense = dense_sum(matrices) + 0.2 * torch.eye(f[0].numel(), dtype=f.dtype)
    expected = torch.linalg.solve(dense, f.flatten(1).mT).mT.reshape(f.shape)
    operator = KroneckerSum([m.to(device) for m in matrices])
    given = f.to(device)
    found = operator.solve(given, shift=0.2)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-10, atol=1e-11)
    assert torch.equal(given.cpu(), f)
    torch.testing.assert_close(operator.apply(found, shift=0.2), given, rtol=1e-11, atol=1e-11)


def test_defective_matrices_take_the_schur_form():
    operator = KroneckerSum([defective(5), torch.eye(3, dtype=torch.float64)])
    assert [s.triangle is None for s in operator.spectra] == [False, True]
    assert operator.condition == 1.0


def test_refinement_wins_back_the_digits_of_ill_conditioned_eigenvectors(generator):
    """-u'' + 25 u' by central differences: without refinement 5e-11 is lost."""
    n, speed = 16, 25.0
    h = 1 / (n + 1)
    convection = torch.diag(torch.full((n,), 2 / h**2, dtype=torch.float64))
    for side, sign in ((1, 1), (-1, -1)):
        entry = -1 / h**2 + sign * speed / (2 * h)
        convection += torch.diag(torch.full((n - 1,), entry, dtype=torch.float64), side)
    matrices = [convection, 3 * torch.eye(5, dtype=torch.float64)]
    f = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    operator = KroneckerSum(matrices)
    assert operator.condition > 1e4
    expected = torch.linalg.solve(convection + 3 * torch.eye(n, dtype=torch.float64), f)
    atol = 1e-13 * float(expected.abs().max())
    torch.testing.assert_close(operator.solve(f), expected, rtol=0, atol=atol)


def test_smallest_eigenvalue_tells_of_a_singular_operator():
    operator = KroneckerSum(
        [torch.diag(torch.tensor(d)).double() for d in ([1.0, 4.0], [2.0, 7.0])]
    )
    assert operator.smallest_eigenvalue() == 3.0
    assert operator.smallest_eigenvalue(shift=-6.0) == 0.0


def test_float32_fields_stay_float32(generator):
    matrices = [m.float() for m in well_posed((5, 6), generator)]
    f = torch.randn(5, 6, generator=generator)
    expected = torch.linalg.solve(dense_sum(matrices), f.flatten()).reshape(5, 6)
    found = KroneckerSum(matrices).solve(f)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("matrix", [torch.zeros(2, 3), torch.eye(2, dtype=torch.complex64)])
def test_matrices_that_are_not_real_and_square_are_refused(matrix):
    with pytest.raises(ValueError, match=r"matrices\[0\] has shape .* expected a real square"):
        KroneckerSum([matrix])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1600, 1600), (200, 200, 200)])
def test_large_grids_take_three_times_the_solution_and_the_factors(shape):
    """Peak memory of a process that solves a Poisson-like problem with dense matrices."""
    script = f"""
import resource, torch
from pdesolve.ops.kronecker_sum import KroneckerSum
torch.set_num_threads(1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
generator = torch.Generator().manual_seed(0)
root = [torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5 for n in {shape}]
matrices = [r @ r.mT + torch.eye(len(r), dtype=r.dtype) for r in root]
del root
torch.linalg.eigh(matrices[0][:50, :50])
before = peak()
f = torch.randn({shape}, generator=generator, dtype=torch.float64)
operator = KroneckerSum(matrices)
u = operator.solve(f)
used = peak() - before
residual = float((operator.apply(u) - f).norm() / f.norm())
print(used, residual, f.nbytes + 3 * sum(m.nbytes for m in matrices))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    used, residual, stored = map(float, answer.stdout.split())
    assert residual < 1e-12
    assert used <= 3 * stored
