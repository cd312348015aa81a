import pytest
import torch
from torch import nn

from pdesolve.training import LBFGS, Adam, AdamW, Muon
from pdesolve.training.muon import as_matrix, from_matrix, orthogonalized


class Pairs(nn.Module):
    complex_pairs = ("weight",)

    def __init__(self, values):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(values))
        self.bias = nn.Parameter(torch.ones(3, dtype=self.weight.dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("shape", [(4, 7), (9, 4), (5, 5)])
def test_newton_schulz_keeps_the_singular_vectors_and_levels_the_values(
    device, generator, shape, dtype
):
    noise = torch.randn(3, *shape, dtype=dtype, generator=generator).to(device)
    u, _, vh = torch.linalg.svd(noise, full_matrices=False)
    matrices = u * torch.linspace(1.0, 0.05, min(shape), device=device) @ vh
    inner = u.mH @ orthogonalized(matrices) @ vh.mH
    values = torch.diagonal(inner, dim1=-2, dim2=-1)
    # The published polynomial levels to this band, not to 1.
    assert values.real.min() > 0.67
    assert values.real.max() < 1.21
    assert (inner - torch.diag_embed(values)).abs().max() < 1e-4
    assert values.is_complex() is False or values.imag.abs().max() < 1e-5


def test_complex_matrix_is_orthogonalised_as_its_real_representation(generator):
    z = torch.randn(1, 4, 6, dtype=torch.complex128, generator=generator)

    def real(m):
        top, bottom = torch.cat((m.real, -m.imag), -1), torch.cat((m.imag, m.real), -1)
        return torch.cat((top, bottom), -2)

    # The real representation holds every singular value twice, so its norm is larger by √2.
    u, s, vh = torch.linalg.svd(real(z)[0])
    a, b, c = 3.4445, -4.7750, 2.0315
    values = s / (s.norm() / 2**0.5)
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    torch.testing.assert_close(real(orthogonalized(z))[0], u @ torch.diag(values) @ vh[:8])


def test_zero_gradient_gives_a_zero_direction():
    assert torch.equal(orthogonalized(torch.zeros(1, 4, 5)), torch.zeros(1, 4, 5))


@pytest.mark.parametrize("shape", [(3, 2, 5, 6, 2), (7, 4, 5, 2), (6, 4, 2)])
def test_complex_weight_becomes_a_matrix_of_input_channels_and_back(generator, shape):
    weight = torch.randn(shape, generator=generator)
    matrix = as_matrix(weight, pairs=True)
    inputs = shape[-3]
    assert matrix.shape[0] == inputs
    assert torch.equal(from_matrix(matrix, weight, pairs=True), weight)
    # Row i holds what leaves input channel i.
    for i in range(inputs):
        row = torch.view_as_complex(weight)[..., i, :].flatten()
        assert torch.equal(matrix[i], row)


def test_muon_moves_a_matrix_by_the_scaled_isometry(device, generator):
    model = nn.Linear(6, 5, bias=False, dtype=torch.float64).to(device)
    before = model.weight.detach().clone()
    gradient = torch.randn(5, 6, dtype=torch.float64, generator=generator).to(device)
    optimizer = Muon(lr=0.1, weight_decay=0.2)(model)
    model.weight.grad = gradient.clone()
    optimizer.step()
    # The first Nesterov blend is a multiple of the gradient.
    direction = orthogonalized(gradient[None])[0]
    expected = (1 - 0.1 * 0.2) * before - 0.1 * 0.2 * 6**0.5 * direction
    torch.testing.assert_close(model.weight.detach(), expected)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 4, 6), (2, 3, 6, 5)])
def test_muon_moves_complex_pairs_by_the_complex_isometry(device, generator, shape):
    start, gradient = torch.randn(2, *shape, 2, dtype=torch.float64, generator=generator)
    model = Pairs(start.clone()).to(device)
    optimizer = Muon(lr=0.1, weight_decay=0.0)(model)
    model.weight.grad = gradient.clone().to(device)
    optimizer.step()
    moved = torch.view_as_complex(start - model.weight.detach().cpu())
    u, s, vh = torch.linalg.svd(as_matrix(gradient, pairs=True), full_matrices=False)
    values = s / s.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    rows, columns = len(u), vh.shape[1]
    expected = 0.1 * 0.2 * max(rows, columns) ** 0.5 * (u * values) @ vh
    torch.testing.assert_close(as_matrix(torch.view_as_real(moved), pairs=True), expected)


def test_muon_momentum_is_nesterov(generator):
    model = nn.Linear(4, 4, bias=False, dtype=torch.float64)
    first, second = torch.randn(2, 4, 4, dtype=torch.float64, generator=generator)
    optimizer = Muon(lr=0.1, momentum=0.9, weight_decay=0.0)(model)
    model.weight.grad = first.clone()
    optimizer.step()
    before = model.weight.detach().clone()
    model.weight.grad = second.clone()
    optimizer.step()
    blend = second + 0.9 * (second + 0.9 * first)
    expected = before - 0.1 * 0.2 * 2 * orthogonalized(blend[None])[0]
    torch.testing.assert_close(model.weight.detach(), expected)


def test_muon_gives_small_and_flat_parameters_to_adamw(tiny):
    model = tiny.TinyModel()
    groups = Muon()(model).param_groups
    chosen = {(g["matrix"], g["pairs"]): g["params"] for g in groups}
    assert [id(p) for p in chosen[True, True]] == [id(model.spectrum)]
    assert [id(p) for p in chosen[True, False]] == [id(model.mix.weight)]
    # One input channel, one output channel, biases.
    assert {id(model.lift.weight), id(model.project.weight), id(model.mix.bias)} < {
        id(p) for p in chosen[False, False]
    }


def test_muon_treats_layers_of_one_shape_as_each_alone(generator):
    torch.manual_seed(0)
    together = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    gradients = [torch.randn(p.shape, generator=generator) for p in together.parameters()]
    before = [p.detach().clone() for p in together.parameters()]
    optimizer = Muon()(together)
    for parameter, gradient in zip(together.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    for parameter, start, gradient in zip(together.parameters(), before, gradients, strict=True):
        single = nn.Module()
        single.weight = nn.Parameter(start)
        alone = Muon()(single)
        single.weight.grad = gradient
        alone.step()
        torch.testing.assert_close(single.weight, parameter)


def test_joint_moment_equals_the_formula_by_hand(device):
    z = torch.tensor([[3.0, 4.0], [0.5, -1.0]], dtype=torch.float64, device=device)
    model = Pairs(z).to(device)
    adam = AdamW(lr=0.1, weight_decay=0.3, betas=(0.8, 0.9), complex_moment="joint")(model)
    m, v = torch.zeros(2, dtype=torch.complex128), torch.zeros(2, dtype=torch.float64)
    w = torch.view_as_complex(z.cpu().clone())
    for t, g in enumerate(([[1.0, 2.0], [0.0, -1.0]], [[-3.0, 0.5], [2.0, 2.0]]), 1):
        model.weight.grad = torch.tensor(g, dtype=torch.float64, device=device)
        adam.step()
        g = torch.view_as_complex(torch.tensor(g, dtype=torch.float64))
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g.abs() ** 2
        step = (m / (1 - 0.8**t)) / ((v / (1 - 0.9**t)).sqrt() + 1e-8)
        w = (1 - 0.1 * 0.3) * w - 0.1 * step
    torch.testing.assert_close(torch.view_as_complex(model.weight.detach().cpu()), w)


def test_joint_moment_of_a_complex_parameter_equals_that_of_its_pairs(generator):
    values = torch.randn(3, 4, 2, generator=generator)
    stored, native = Pairs(values.clone()), nn.Module()
    native.weight = nn.Parameter(torch.view_as_complex(values.clone()))
    rules = [AdamW(complex_moment="joint")(model) for model in (stored, native)]
    for _ in range(3):
        gradient = torch.randn(3, 4, 2, generator=generator)
        stored.weight.grad = gradient
        native.weight.grad = torch.view_as_complex(gradient)
        for rule in rules:
            rule.step()
    assert torch.equal(stored.weight, torch.view_as_real(native.weight))


def test_joint_moment_leaves_real_parameters_to_adamw(generator):
    models = [nn.Linear(3, 3, dtype=torch.float64) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    ours, torchs = AdamW(complex_moment="joint")(models[0]), AdamW()(models[1])
    for _ in range(4):
        gradient = torch.randn(3, 3, dtype=torch.float64, generator=generator)
        for model, rule in zip(models, (ours, torchs), strict=True):
            model.weight.grad = gradient.clone()
            rule.step()
    torch.testing.assert_close(models[0].weight, models[1].weight, rtol=1e-12, atol=1e-14)


def test_lbfgs_reaches_the_minimum_of_a_quadratic(generator):
    factor = torch.randn(4, 4, dtype=torch.float64, generator=generator)
    matrix, target = factor @ factor.T + torch.eye(4), torch.arange(4, dtype=torch.float64)
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = LBFGS()(model)

    def closure():
        optimizer.zero_grad()
        energy = model.weight @ matrix @ model.weight / 2 - target @ model.weight
        energy.backward()
        return energy

    for _ in range(3):
        optimizer.step(closure)
    solution = torch.linalg.solve(matrix, target)
    # The search stops when the energy, quadratic in the error, no longer changes.
    torch.testing.assert_close(model.weight.detach(), solution, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", [AdamW(), Muon(), LBFGS(), AdamW(complex_moment="joint")])
def test_model_without_trainable_parameters_is_refused(optimizer):
    with pytest.raises(ValueError, match="nothing to train"):
        optimizer(nn.Linear(2, 2).requires_grad_(False))


def test_decay_of_adam_is_part_of_the_gradient(device):
    model = nn.Linear(3, 1, bias=False).to(device)
    start = model.weight.detach().clone()
    optimizer = Adam(lr=0.1, weight_decay=0.5)(model)
    gradient = torch.tensor([[1.0, 0.0, -2.0]], device=device)
    model.weight.grad = gradient.clone()
    optimizer.step()
    # The first step of Adam has the length of the rate along the sign of the whole gradient.
    expected = start - 0.1 * (gradient + 0.5 * start).sign()
    torch.testing.assert_close(model.weight.detach(), expected, rtol=0, atol=1e-6)
