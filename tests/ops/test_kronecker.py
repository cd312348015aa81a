import math
from functools import reduce

import pytest
import torch

from pdesolve.ops.kronecker import CholeskyProduct, RootProduct, apply, mode_product

SHAPES = [(7,), (4, 9), (3, 5, 4)]


def normal(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def positive_definite(shape, generator):
    roots = [normal(generator, n, n) / math.sqrt(n) for n in shape]
    return [r @ r.mT + 0.3 * torch.eye(len(r), dtype=r.dtype) for r in roots]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", SHAPES)
def test_apply_is_the_dense_kronecker_product(device, generator, shape, dtype):
    factors = [normal(generator, n + j - 1, n, dtype=dtype).to(device) for j, n in enumerate(shape)]
    u = normal(generator, 2, *shape).to(device, dtype.to_real())
    dense = reduce(torch.kron, factors)
    expected = (u.flatten(1).to(dtype) @ dense.mT).reshape(2, *(len(f) for f in factors))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(apply(factors, u), expected, rtol=tolerance, atol=tolerance)


def test_apply_leaves_axes_of_none_alone(generator):
    u, factor = normal(generator, 3, 4, 5), normal(generator, 2, 4)
    expected = torch.einsum("ia,xay->xiy", factor, u)
    torch.testing.assert_close(apply([None, factor, None], u), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mode_product(factor, u, -2), expected, rtol=1e-12, atol=1e-12)


def test_apply_is_differentiable(generator):
    factors = [normal(generator, 3, 2).requires_grad_(), normal(generator, 2, 3).requires_grad_()]
    u = normal(generator, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, u: apply([a, b], u), (*factors, u))


def test_a_factor_that_does_not_fit_is_refused():
    message = r"factors\[1\] has shape \(2, 4\), expected \(m, 5\)"
    with pytest.raises(ValueError, match=message):
        apply([None, torch.zeros(2, 4)], torch.zeros(3, 5))


@pytest.mark.parametrize("shape", SHAPES)
def test_cholesky_product_equals_the_dense_one(device, generator, shape):
    factors = positive_definite(shape, generator)
    dense = reduce(torch.kron, factors)
    product = CholeskyProduct([factor.to(device) for factor in factors])
    u = normal(generator, 2, *shape)
    flat, on_device = u.flatten(1), u.to(device)

    def check(found, expected):
        torch.testing.assert_close(found.cpu().flatten(1), expected, rtol=1e-11, atol=1e-11)

    check(product.apply(on_device), flat @ dense)
    check(product.solve(on_device), torch.linalg.solve(dense, flat.mT).mT)
    root = torch.linalg.cholesky(dense)
    check(product.colour(on_device), flat @ root.mT)
    check(product.whiten(on_device), torch.linalg.solve(root, flat.mT).mT)
    expected = (flat * torch.linalg.solve(dense, flat.mT).mT).sum(1)
    torch.testing.assert_close(
        product.quadratic_form(on_device).cpu(), expected, rtol=1e-11, atol=0
    )
    torch.testing.assert_close(product.logdet.cpu(), torch.logdet(dense), rtol=1e-11, atol=1e-11)


def test_an_indefinite_factor_is_refused():
    with pytest.raises(torch.linalg.LinAlgError):
        CholeskyProduct([torch.tensor([[1.0, 2.0], [2.0, 1.0]])])


@pytest.mark.parametrize("ranks", [(3, 5), (6, 2), (8, 12)])
def test_root_product_equals_the_dense_one(device, generator, ranks):
    """Ranks below, at and above the numbers of points."""
    shape, noise = (6, 7), 0.3
    roots = [normal(generator, n, r) / math.sqrt(r) for n, r in zip(shape, ranks, strict=True)]
    phi = reduce(torch.kron, roots)
    dense = phi @ phi.mT + noise * torch.eye(42, dtype=phi.dtype)
    product = RootProduct([root.to(device) for root in roots], noise)
    u = normal(generator, 2, *shape)
    flat, on_device = u.flatten(1), u.to(device)

    def check(found, expected):
        torch.testing.assert_close(found.cpu().flatten(1), expected, rtol=1e-11, atol=1e-11)

    solved = torch.linalg.solve(dense, flat.mT).mT
    check(product.apply(on_device), flat @ dense)
    check(product.solve(on_device), solved)
    check(product.weights(on_device), solved @ phi)
    expected = (flat * solved).sum(1)
    torch.testing.assert_close(
        product.quadratic_form(on_device).cpu(), expected, rtol=1e-11, atol=0
    )
    torch.testing.assert_close(product.logdet.cpu(), torch.logdet(dense), rtol=1e-11, atol=1e-11)


def test_root_product_keeps_digits_that_the_squared_roots_lose():
    """Roots with singular values from 1 to 1e-9: K has condition 1e18, its roots 1e9."""
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(normal(generator, 10, 10))[0]
    sizes = torch.logspace(0, -9, 10, dtype=torch.float64)
    weights = normal(generator, 10)
    product = RootProduct([basis * sizes], 1e-22)
    found = product.weights(basis @ (sizes * weights))
    torch.testing.assert_close(found, weights, rtol=0, atol=1e-3)


def test_noise_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"noise is 0\.0, expected a variance > 0"):
        RootProduct([torch.eye(2)], 0.0)
