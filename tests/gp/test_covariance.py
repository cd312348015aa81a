import math

import gpytorch
import pytest
import torch

from pdesolve import Grid
from pdesolve.gp.axis import Axis
from pdesolve.gp.covariance import Observation, covariance, features_of, observations_of
from pdesolve.gp.kernels import (
    Comb,
    Cosine,
    GaussianMixture,
    Matern,
    Periodic,
    SquaredExponential,
    StudentTMixture,
)
from pdesolve.gp.problem import problem_of


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


def test_a_float32_kernel_on_the_cpu_serves_nodes_anywhere(device):
    kernel = Matern(2.5, 0.5).float()
    nodes = torch.linspace(0, 1, 9, dtype=torch.float64, device=device)
    features, _ = features_of(kernel, Axis(nodes, 1.0, False))
    found = features(nodes) @ features(nodes).mT
    z = (nodes[:, None] - nodes).abs() * 5**0.5 / 0.5
    expected = (1 + z + z**2 / 3) * torch.exp(-z)
    # log 0.5 was rounded to float32.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert kernel.raw_lengthscale.dtype == torch.float32


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


def gram_posterior(kernel, x, nodes, ends, data):
    """Mean and variance at x given u'' at nodes and u at ends, from covariances alone."""

    def block(a, b, order):
        return kernel.derivs(a[:, None] - b, order)[order]

    gram = torch.cat(
        [
            torch.cat([block(nodes, nodes, 4), block(nodes, ends, 2)], 1),
            torch.cat([block(ends, nodes, 2), block(ends, ends, 0)], 1),
        ]
    )
    cross = torch.cat([block(x, nodes, 2), block(x, ends, 0)], 1)
    mean = cross @ torch.linalg.solve(gram, data)
    explained = (cross * torch.linalg.solve(gram, cross.mT).mT).sum(1)
    return mean, block(x[:1], x[:1], 0)[0, 0] - explained


@pytest.mark.parametrize(
    "kernel", [Matern(2.5, 0.7), Matern(3.5, 0.7), StudentTMixture([0.2, 1.0], nu=3.5)]
)
def test_features_of_what_is_observed_give_the_kernels_own_posterior(kernel):
    axis, x = axis_of(14), torch.linspace(0, 2, 23, dtype=torch.float64)
    ends = axis.nodes[[0, -1]]
    source = torch.sin(3 * axis.nodes)
    data = torch.cat([source, torch.tensor([0.3, -0.2], dtype=torch.float64)])
    with torch.no_grad():
        mean, variance = gram_posterior(kernel, x, axis.nodes, ends, data)
        observed = [Observation(axis.nodes, {2: 1.0}), Observation(ends, {0: 1.0})]
        features, _ = features_of(kernel, axis, observed)
        rows = torch.cat([features(axis.nodes, 2), features(ends)])
        weights = torch.linalg.lstsq(rows, data[:, None], driver="gelsd").solution[:, 0]
        torch.testing.assert_close(features(x) @ weights, mean, rtol=0, atol=1e-9)
        torch.testing.assert_close(features.unseen_variance(x), variance, rtol=0, atol=1e-9)


def test_an_observed_first_derivative_has_the_sign_of_its_argument():
    """cov(u(x), u'(y) + u(y)/2) = -k'(x - y) + k(x - y)/2, differentiated in x."""
    kernel, axis = Matern(3.5, 0.6), axis_of(9)
    observed = Observation(axis.nodes, {1: 1.0, 0: 0.5})
    features, _ = features_of(kernel, axis, [observed])
    x = torch.linspace(0, 2, 11, dtype=torch.float64)
    with torch.no_grad():
        k = kernel.derivs(x[:, None] - axis.nodes, 2)
        seen = features(axis.nodes, 1) + 0.5 * features(axis.nodes)
        torch.testing.assert_close(features(x) @ seen.mT, -k[1] + k[0] / 2, rtol=0, atol=1e-10)
        torch.testing.assert_close(features(x, 1) @ seen.mT, -k[2] + k[1] / 2, rtol=0, atol=1e-9)


def test_a_problem_observes_its_equation_and_its_conditions():
    grid = Grid((12,), 1.0, False)
    helmholtz = problem_of(lambda d, u: d(u, (2,)) + 9 * d(u, (0,)), grid, source=1.0)
    found = observations_of(helmholtz)
    assert [dict(o.terms) for o in found] == [{2: 1.0, 0: 9.0}, {0: 1.0}, {0: 1.0}]
    assert [o.points.tolist() for o in found[1:]] == [[0.0], [1.0]]
    cubic = problem_of(lambda d, u: d(u, (2,)) + d(u, (0,)) ** 3, grid, source=1.0)
    assert [dict(o.terms) for o in observations_of(cubic)[:2]] == [{2: 1.0}, {0: 1.0}]


def test_a_kernel_that_is_too_rough_for_the_equation_is_refused():
    axis = axis_of(9)
    with pytest.raises(ValueError, match=r"order is 4 for a Matern kernel of nu 1\.5"):
        features_of(Matern(1.5), axis, [Observation(axis.nodes, {2: 1.0})])
