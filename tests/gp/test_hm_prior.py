import pytest
import torch

from pdesolve.gp.hm_prior import AxisKernel, GridPrior

NAMES = ["student_t", "gaussian", "matern", "squared_exponential"]


def prior(shape, **settings):
    nodes = [torch.linspace(0, 1 + j, n, dtype=torch.float64) for j, n in enumerate(shape)]
    found = GridPrior(nodes, components=3, top_frequency=1.5, **settings)
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        found.values.copy_(values)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_pairwise_and_toeplitz_matrices_agree(name, order):
    """Nested autodiff is right at 0 only since the slope of |z| is taken as +1 there."""
    closed = prior((8,), name=name).matrix(0, order)
    nested = prior((8,), name=name, assembly="pairwise").matrix(0, order)
    torch.testing.assert_close(
        nested, closed, rtol=0, atol=1e-12 * float(closed.abs().max().detach())
    )


@pytest.mark.parametrize("shape", [(9,), (5, 7), (4, 3, 5)])
def test_log_prior_is_that_of_the_dense_kronecker_product(shape):
    found = prior(shape, name="matern")
    dense = torch.ones(1, 1, dtype=torch.float64)
    for j, n in enumerate(shape):
        dense = torch.kron(dense, found.matrix(j) + 1e-6 * torch.eye(n, dtype=torch.float64))
    u = found.values.flatten()
    expected = -0.5 * torch.logdet(dense) - 0.5 * u @ torch.linalg.solve(dense, u)
    torch.testing.assert_close(found.state().log_prior(), expected, rtol=1e-8, atol=0)


def test_derivatives_are_those_of_the_interpolant():
    """∂_x∂_yy u on the grid against differences of `predict`."""
    found = prior((7, 6), name="gaussian")
    state, h = found.state(), 1e-3
    x, y = found.nodes
    shifts = [found.predict([x + a * h, y]) for a in (-1, 1)]
    expected = (shifts[1] - shifts[0]) / (2 * h)
    derivative = state.derivative((1, 0)).detach()
    scale = float(expected.abs().max())
    torch.testing.assert_close(derivative, expected, rtol=0, atol=1e-3 * scale)


def test_prediction_at_the_nodes_returns_the_values():
    found = prior((7, 6), name="matern", jitter=1e-12)
    torch.testing.assert_close(found.predict(found.nodes), found.values.detach(), rtol=0, atol=1e-6)


def test_kernels_without_waves_have_no_frequencies():
    assert AxisKernel("matern", 3, 1.0).frequencies is None
