import pytest
import torch
import torch.nn.functional as F

from pdesolve import Grid
from pdesolve.operators import MgNO

SHALLOW = ((1, 0), (1, 1), (2, 0))


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


# The official classes with the arguments of their published runs.
@pytest.mark.parametrize(
    ("preset", "changes", "expected"),
    [
        (MgNO.darcy_smooth, {}, 678_093),
        (MgNO.darcy_rough, {}, 572_661),
        (MgNO.darcy_rough, dict(layers=5), 738_573),
        (MgNO.darcy_rough, dict(in_channels=3), 578_685),
        (MgNO.darcy_rough, dict(restrict_residual=True), 651_501),
        (
            MgNO.darcy_rough,
            dict(layers=5, iterations=((1, 0), (1, 0), (1, 0), (2, 0), (2, 0))),
            645_828,
        ),
        (MgNO.pipe, {}, 783_876),
        (MgNO.navier_stokes, {}, 2_885_194),
        (MgNO.navier_stokes, dict(bias=False), 2_883_300),
        (MgNO.navier_stokes, dict(norm="plain"), 1_144_394),
        (MgNO.helmholtz, {}, 5_351_806),
        (MgNO.helmholtz, dict(idle=None), 5_351_806 - 11_241),
    ],
)
def test_parameter_count_is_the_published_one(preset, changes, expected):
    assert parameter_count(preset(**changes)) == expected


def test_parameter_count_of_the_default_is_that_of_the_rough_darcy_operator():
    assert parameter_count(MgNO(1, 1)) == 572_661


@pytest.mark.parametrize(
    "shape", [(64, 64), (85, 85), (96, 64), (101, 101), (211, 211), (421, 421)]
)
@pytest.mark.parametrize("boundary", ["dirichlet", "periodic"])
def test_every_published_size_is_taken(shape, boundary, device):
    model = MgNO(1, 2, width=2, layers=1, boundary=boundary).to(device)
    with torch.no_grad():
        assert model(torch.randn(1, 1, *shape, device=device)).shape == (1, 2, *shape)


def test_one_layer_is_the_activation_of_cycle_and_pointwise_map():
    model = MgNO(2, 1, 3, 1, SHALLOW).double()
    x = torch.randn(1, 2, 9, 12, dtype=torch.float64)
    v = F.gelu(model.cycles[0](x) + model.pointwise[0](x))
    expected = torch.einsum("oi,bixy->boxy", model.head.weight[:, :, 0, 0], v)
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 32), (16, 48)])
def test_on_the_torus_the_operator_commutes_with_shifts_by_coarse_cells(shape, device):
    torch.manual_seed(0)
    domain = Grid(shape, 1.0, periodic=True)
    model = MgNO(
        1, 1, 4, 2, ((1, 0), (1, 1), (1, 0), (2, 0)),
        domain=domain, bias=True, norm="layer", layer_norm="layer", residual=True,
    ).to(device, torch.float64)  # fmt: skip
    x = torch.randn(1, 1, *shape, dtype=torch.float64, device=device)
    shifted = model(x.roll((8, -16), (2, 3)))
    torch.testing.assert_close(shifted, model(x).roll((8, -16), (2, 3)), rtol=0, atol=1e-12)


def test_boundaries_are_those_of_the_domain_by_default():
    domain = Grid((8, 8), 1.0, periodic=(True, False))
    assert MgNO(1, 1, 2, 1, SHALLOW, domain=domain).cycles[0].boundary == ("periodic", "dirichlet")
    model = MgNO(1, 1, 2, 1, SHALLOW, domain=domain, boundary="neumann_cell")
    assert model.cycles[0].boundary == ("neumann_cell", "neumann_cell")


def test_residual_adds_the_last_frame_only():
    torch.manual_seed(0)
    plain = MgNO(3, 2, 2, 1, SHALLOW)
    torch.manual_seed(0)
    residual = MgNO(3, 2, 2, 1, SHALLOW, residual=True)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(residual(x), plain(x) + x[:, 1:])


@pytest.mark.parametrize("preset", [MgNO.navier_stokes, MgNO.helmholtz])
def test_a_preset_of_one_grid_moves_to_another(preset, device):
    domain = Grid((64, 48), 1.0, periodic=preset == MgNO.navier_stokes)
    model = preset(domain=domain, width=2, layers=1).to(device)
    x = torch.randn(1, 1, 64, 48, device=device)
    assert model(x).shape == x.shape
    with pytest.raises(ValueError, match="expected"):
        model(x[..., 1:])


def test_every_parameter_of_a_preset_gets_a_gradient_but_for_idle_operators():
    model = MgNO.helmholtz(width=2, layers=1, domain=Grid((47, 63), 1.0, periodic=False))
    model(torch.randn(1, 1, 47, 63)).square().sum().backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None}
    cycles = ("cycles.0", "head")
    assert idle == {
        f"{cycle}.levels.0.operators.0.convolution.{kind}"
        for cycle in cycles
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(dims=3, domain=Grid((8, 8), 1.0, False)), "dims is 3, expected 2"),
        (dict(dims=4), "dims is 4"),
        (dict(residual=True), "residual with 1 input and 2 output channels"),
        (dict(norm="pixelwise"), "without a grid"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MgNO(1, 2, 2, 1, SHALLOW, **options)
