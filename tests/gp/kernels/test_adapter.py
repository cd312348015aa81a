import gpytorch
import pytest
import torch
from gpytorch import kernels as stock

from pdesolve.gp.kernels import Matern, from_gpytorch


def with_values(kernel, **values):
    for name, value in values.items():
        setattr(kernel, name, torch.as_tensor(value))
    return kernel.double()


def spectral_mixture():
    kernel = stock.SpectralMixtureKernel(num_mixtures=2)
    kernel.mixture_weights = torch.tensor([0.3, 0.9])
    kernel.mixture_means = torch.tensor([0.4, 1.7]).reshape(2, 1, 1)
    kernel.mixture_scales = torch.tensor([0.2, 0.6]).reshape(2, 1, 1)
    return kernel.double()


STOCK = {
    "RBF": lambda: with_values(stock.RBFKernel(), lengthscale=0.6),
    "Matern": lambda: with_values(stock.MaternKernel(nu=1.5), lengthscale=0.6),
    "RQ": lambda: with_values(stock.RQKernel(), lengthscale=0.6, alpha=1.7),
    "Periodic": lambda: with_values(stock.PeriodicKernel(), lengthscale=0.6, period_length=0.8),
    "Cosine": lambda: with_values(stock.CosineKernel(), period_length=0.8),
    "SpectralMixture": spectral_mixture,
    "Scale": lambda: with_values(stock.ScaleKernel(stock.RBFKernel()), outputscale=2.3),
    "sum": lambda: stock.RBFKernel().double() + stock.MaternKernel(nu=2.5).double(),
    "product": lambda: stock.RBFKernel().double() * stock.CosineKernel().double(),
}


@pytest.mark.parametrize("name", STOCK)
def test_values_are_those_of_the_stock_kernel(name):
    kernel = STOCK[name]()
    x = torch.linspace(0, 2, 9, dtype=torch.float64)
    with torch.no_grad():
        expected = kernel(x[:, None]).to_dense()
        found = from_gpytorch(kernel).derivs(x[:, None] - x, 0)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7 if name == "Matern" else 1e-12)


def test_matern_derivatives_at_coincident_points_are_not_the_zeros_of_autograd():
    kernel = with_values(stock.MaternKernel(nu=2.5), lengthscale=0.5)
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value = kernel(x[:, None], torch.zeros(1, 1, dtype=torch.float64)).to_dense().sum()
    (first,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert float(second) == 0.0
    closed = from_gpytorch(kernel).derivs(x.detach(), 2)[2]
    # -a²/3, a = √5 / 0.5
    torch.testing.assert_close(closed.detach(), torch.full_like(x, -20 / 3), check_dtype=False)


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match="LinearKernel has no closed-form derivatives here"):
        from_gpytorch(stock.LinearKernel())


def test_subclasses_of_known_kernels_are_refused():
    with pytest.raises(ValueError, match="RBFKernelGrad has no closed-form derivatives here"):
        from_gpytorch(stock.RBFKernelGrad())


def test_several_lengthscales_are_refused():
    with pytest.raises(ValueError, match="ard_num_dims 2, expected one kernel of one variable"):
        from_gpytorch(stock.RBFKernel(ard_num_dims=2))


def test_own_kernels_pass_through():
    kernel = Matern()
    assert from_gpytorch(kernel) is kernel
    assert isinstance(kernel, gpytorch.kernels.Kernel)
