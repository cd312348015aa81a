import math

import gpytorch
import pytest
import torch

from pdesolve.gp.kernels import (
    Comb,
    Cosine,
    GaussianMixture,
    Matern,
    Periodic,
    RationalQuadratic,
    Scaled,
    SquaredExponential,
    StudentTMixture,
    band_limited,
)

KERNELS = {
    "squared exponential": lambda: SquaredExponential(0.3),
    "matern 5/2": lambda: Matern(2.5, 0.4),
    "matern 9/2": lambda: Matern(4.5, 0.4),
    "rational quadratic": lambda: RationalQuadratic(0.4, 1.3),
    "comb": lambda: Comb([0.0, 1.1, 2.3], [0.4, 0.6, 0.1]),
    "cosine": lambda: Cosine(1.7),
    "periodic": lambda: Periodic(0.7, 0.9),
    "gaussian mixture": lambda: GaussianMixture([0.2, 3.1], [0.3, 0.9], [0.3, 0.5]),
    "student-t mixture": lambda: StudentTMixture([0.2, 3.1], [0.3, 0.9], [0.3, 0.5]),
    "student-t mixture 9/2": lambda: StudentTMixture([0.2, 3.1], nu=4.5),
    "sum": lambda: SquaredExponential(0.3) + Matern(3.5),
    "product": lambda: SquaredExponential(0.3) * Periodic(0.7) * Matern(3.5),
    "scaled": lambda: Scaled(Cosine(1.0) * Matern(2.5), 2.5),
    "band": lambda: band_limited([(0.0, 1.5), (3.0, 4.0)], 2.0),
}
WITH_FEATURES = [
    "squared exponential", "comb", "cosine", "periodic", "gaussian mixture", "band"
]  # fmt: skip


def by_autograd(kernel, z, order):
    """Derivatives of gpytorch's own call, away from coincident points."""
    z = z.clone().requires_grad_()
    origin = torch.zeros(1, 1, dtype=z.dtype)
    found = [kernel(z[:, None], origin).to_dense()[:, 0]]
    for _ in range(order):
        found.append(torch.autograd.grad(found[-1].sum(), z, create_graph=True)[0])
    return found


@pytest.mark.parametrize("name", KERNELS)
def test_derivatives_equal_automatic_ones_away_from_zero(name):
    kernel = KERNELS[name]()
    z = torch.cat([-torch.logspace(-2, 0.4, 13), torch.logspace(-2.1, 0.3, 12)]).double()
    for closed, automatic in zip(kernel.derivs(z, 4), by_autograd(kernel, z, 4), strict=True):
        scale = float(automatic.detach().abs().max())
        torch.testing.assert_close(closed, automatic, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("name", KERNELS)
def test_derivatives_at_zero_are_limits_of_those_beside_it(name):
    kernel = KERNELS[name]()
    h = 1e-4
    z = torch.tensor([-2 * h, -h, 0.0, h, 2 * h], dtype=torch.float64)
    for order, values in enumerate(kernel.derivs(z, 4)):
        with torch.no_grad():
            if order % 2:
                assert float(values[2]) == 0.0
            # Even orders have kinks of at most the third order here, so the values at h tend
            # to that at 0 linearly.
            slope = float((values[4] - values[3]).abs())
            assert float((values[3] - values[2]).abs()) <= 2 * slope + 1e-12


@pytest.mark.parametrize("name", KERNELS)
def test_covariances_of_derivatives_are_positive_semidefinite(name):
    """cov(∂^i u, ∂^j u) = (-1)^j k^(i+j): a wrong sign or value at 0 shows at once."""
    kernel = KERNELS[name]()
    x = torch.linspace(0, 1, 7, dtype=torch.float64)
    k = [m.detach() for m in kernel.derivs(x[:, None] - x, 4)]
    scale = [1.0, 5.0, 25.0]
    rows = [
        torch.cat([(-1) ** j * k[i + j] / (scale[i] * scale[j]) for j in range(3)], 1)
        for i in range(3)
    ]
    joint = torch.cat(rows)
    torch.testing.assert_close(joint, joint.mT, rtol=1e-12, atol=1e-13)
    assert float(torch.linalg.eigvalsh(joint).min()) > -1e-12 * float(joint.abs().max())


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_features_give_the_covariances_of_derivatives(device, name):
    kernel = KERNELS[name]().to(device)
    x = torch.linspace(-0.3, 1.7, 23, dtype=torch.float64, device=device)
    with torch.no_grad():
        k = kernel.derivs(x[:, None] - x, 4)
        features = [kernel.features(x, order, interval=(-0.3, 1.7)) for order in range(3)]
        for i in range(3):
            for j in range(3):
                expected = (-1) ** j * k[i + j]
                atol = 1e-13 * float(k[2 * i].abs().max() * k[2 * j].abs().max()) ** 0.5
                found = features[i] @ features[j].mT
                torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_sums_and_products_of_kernels_with_features_have_features():
    kernel = Scaled(SquaredExponential(0.5) * Cosine(2.0), 3.0) + Comb([1.0])
    x = torch.linspace(0, 1, 9, dtype=torch.float64)
    with torch.no_grad():
        features = kernel.features(x, interval=(0.0, 1.0))
        z = x[:, None] - x
        expected = 3 * torch.exp(-2 * z**2) * torch.cos(4 * math.pi * z) + torch.cos(
            2 * math.pi * z
        )
    torch.testing.assert_close(features @ features.mT, expected, rtol=1e-13, atol=1e-13)


def test_a_kernel_without_features_says_what_has_them():
    with pytest.raises(ValueError, match="Matern has no features, expected a kernel of cosines"):
        Matern().features(torch.zeros(2).double(), interval=(0.0, 1.0))


def test_a_sum_with_a_kernel_without_features_has_none():
    assert (Matern() + Cosine(1.0)).lines(1.0) is None


def test_smoothness_of_a_composition_is_that_of_its_roughest_part():
    assert (SquaredExponential() * Matern(3.5) + Matern(2.5)).smoothness == 4


def test_inputs_of_two_columns_are_refused():
    with pytest.raises(ValueError, match=r"inputs have 2 columns .* expected 1"):
        SquaredExponential()(torch.zeros(3, 2).double()).to_dense()


def test_different_columns_combine_as_gpytorch_does(generator):
    kernel = SquaredExponential(0.3, active_dims=(0,)) * Matern(2.5, 0.7, active_dims=(1,))
    x = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    z = x[:, None] - x
    expected = (
        SquaredExponential(0.3).derivs(z[..., 0], 0)[0] * Matern(2.5, 0.7).derivs(z[..., 1], 0)[0]
    )
    torch.testing.assert_close(kernel(x).to_dense(), expected, rtol=1e-12, atol=0)


class _Model(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood, kernel):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ZeroMean()
        self.covar_module = kernel

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


@pytest.mark.filterwarnings("ignore::gpytorch.utils.warnings.GPInputWarning")
def test_an_exact_gp_learns_the_frequency_of_a_wave():
    x = torch.linspace(0, 2, 30, dtype=torch.float64)
    y = torch.sin(2 * math.pi * 1.7 * x)
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 1e-3
    kernel = Scaled(StudentTMixture([1.5], lengthscales=3.0), 1.0)
    model = _Model(x[:, None], y, likelihood, kernel)
    evidence = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    model.train()
    for _ in range(60):
        optimizer.zero_grad()
        loss = -evidence(model(x[:, None]), y)
        loss.backward()
        optimizer.step()
    assert kernel.kernel.frequencies.item() == pytest.approx(1.7, abs=0.03)
    model.eval()
    between = torch.linspace(0.1, 1.9, 17, dtype=torch.float64)
    with torch.no_grad():
        mean = model(between[:, None]).mean
    torch.testing.assert_close(mean, torch.sin(2 * math.pi * 1.7 * between), rtol=0, atol=0.02)


def test_parameters_are_logarithms():
    kernel = Scaled(SquaredExponential(0.3), 2.0)
    values = {name: value.item() for name, value in kernel.named_parameters()}
    assert values == pytest.approx(
        {"raw_variance": math.log(2.0), "_kernel.raw_lengthscale": math.log(0.3)}
    )


def test_a_negative_lengthscale_is_refused():
    with pytest.raises(ValueError, match=r"lengthscale is -1\.0, expected positive numbers"):
        SquaredExponential(-1.0)
