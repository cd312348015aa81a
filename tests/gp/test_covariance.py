import math

import gpytorch
import pytest
import torch

from pdesolve.gp.axis import Axis
from pdesolve.gp.covariance import covariance, features_of
from pdesolve.gp.kernels import (
    Comb,
    Cosine,
    GaussianMixture,
    Matern,
    Periodic,
    SquaredExponential,
    StudentTMixture,
)


def axis_of(points, length=2.0, periodic=False):
    nodes = torch.linspace(0, length, points + periodic, dtype=torch.float64)
    return Axis(nodes[:points], length, periodic)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_toeplitz_covariance_equals_all_pairs(order):
    kernel = StudentTMixture([0.3, 2.0])
    x = axis_of(15).nodes
    expected = kernel.derivs(x[:, None] - x, order)[order]
    scale = float(expected.detach().abs().max())
    found = covariance(kernel, x, order)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize(
    "kernel",
    [
        Matern(2.5, 0.5),
        StudentTMixture([0.3, 2.0]),
        Cosine(1.0) * Matern(3.5),
        SquaredExponential(),
    ],
)
def test_features_reproduce_the_kernel_at_its_nodes(kernel):
    axis = axis_of(17)
    features, accuracy = features_of(kernel, axis)
    x = torch.linspace(0, 2, 29, dtype=torch.float64)
    with torch.no_grad():
        for order in range(3):
            expected = kernel.derivs(x[:, None] - axis.nodes, order)[order]
            found = features(x, order) @ features(axis.nodes).mT
            atol = 100 * max(accuracy, 1e-15) * float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_features_of_cosines_are_as_accurate_as_rounding():
    assert features_of(Comb([1.0, 2.0]), axis_of(20))[1] < 1e-14


def test_accuracy_tells_of_an_ill_conditioned_kernel():
    """Matérn 9/2 on close nodes: K has eigenvalues from 1 to 1e-16."""
    accuracy = features_of(Matern(4.5, 5.0), axis_of(100))[1]
    assert 1e-10 < accuracy < 1e-7


def test_stock_kernels_are_taken():
    stock = gpytorch.kernels.RBFKernel().double()
    features, _ = features_of(stock, axis_of(9))
    x = axis_of(9).nodes
    with torch.no_grad():
        expected = stock(x[:, None]).to_dense()
    torch.testing.assert_close(features(x) @ features(x).mT, expected, rtol=0, atol=1e-13)


def test_a_periodic_axis_takes_a_periodic_kernel():
    axis = axis_of(16, periodic=True)
    features, _ = features_of(Periodic(2.0, 0.8), axis)
    ends = features(torch.tensor([0.0, 2.0], dtype=torch.float64), 2)
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"kernel Matern does not repeat after the period 2 "):
        features_of(Matern(), axis)


def test_posterior_mean_of_a_poisson_problem_in_features_is_that_of_covariances():
    """u'' = f with noise: weights (A Aᵀ + noise)⁻¹ against the Gram matrix of covariances."""
    kernel, axis, noise = GaussianMixture([0.5, 1.5], lengthscales=0.4), axis_of(25), 1e-3
    x = axis.nodes
    source = torch.sin(3 * x) * math.e
    features, _ = features_of(kernel, axis)
    with torch.no_grad():
        design, values = features(x, 2), features(x)
        gram = design @ design.mT + noise * torch.eye(25).double()
        weights = torch.linalg.lstsq(
            torch.cat([design, noise**0.5 * torch.eye(design.shape[1]).double()]),
            torch.cat([source, torch.zeros(design.shape[1]).double()])[:, None],
        ).solution[:, 0]
        expected = covariance(kernel, x, 2) @ torch.linalg.solve(
            covariance(kernel, x, 4) + noise * torch.eye(25).double(), source
        )
    torch.testing.assert_close(design @ design.mT, gram - noise * torch.eye(25).double())
    torch.testing.assert_close(values @ weights, expected, rtol=0, atol=1e-9)
