import pytest
import torch
import torch.nn.functional as F

from pdesolve.layers.boundary import boundaries, mirror, wrap


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("shape", [(7,), (5, 8), (2, 3), (3, 4, 5)])
def test_periodic_axes_continue_around_the_torus(shape, width, device):
    x = torch.randn(2, 3, *shape, device=device)
    expected = F.pad(x, [width, width] * len(shape), mode="circular")
    assert torch.equal(wrap(x, ("periodic",) * len(shape), width), expected)


def test_one_point_is_its_own_neighbour():
    x = torch.tensor([[[5.0]]])
    assert torch.equal(wrap(x, ("periodic",), 2), torch.full((1, 1, 5), 5.0))


@pytest.mark.parametrize(
    ("kind", "mode"), [("neumann_node", "reflect"), ("neumann_cell", "replicate")]
)
@pytest.mark.parametrize("shape", [(7,), (5, 8), (2, 3), (3, 4, 5)])
def test_walls_without_flux_mirror_the_field(kind, mode, shape, device):
    x = torch.randn(2, 3, *shape, device=device)
    assert torch.equal(mirror(x, (kind,) * len(shape)), F.pad(x, [1, 1] * len(shape), mode=mode))


def test_other_axes_are_left_alone():
    x = torch.randn(1, 1, 4, 5)
    assert wrap(x, ("periodic", "dirichlet"), 1).shape == (1, 1, 6, 5)
    assert mirror(x, ("periodic", "neumann_cell")).shape == (1, 1, 4, 7)
    assert mirror(x, ("dirichlet", "periodic")) is x


def test_channels_stay_last_in_memory():
    x = torch.randn(2, 3, 6, 5).contiguous(memory_format=torch.channels_last)
    for y in (wrap(x, ("periodic", "periodic"), 2), mirror(x, ("neumann_node", "neumann_cell"))):
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_a_single_node_between_two_walls_is_refused():
    with pytest.raises(ValueError, match="expected 2 points or more on axis 1"):
        mirror(torch.ones(1, 1, 3, 1), ("dirichlet", "neumann_node"))


def test_another_number_of_boundaries_than_axes_is_refused():
    with pytest.raises(ValueError, match="one for each axis"):
        boundaries(("periodic",), 2)


def test_one_boundary_serves_all_axes():
    assert boundaries("periodic", 3) == ("periodic",) * 3
    assert boundaries(["periodic", "dirichlet"], 2) == ("periodic", "dirichlet")


def by_torch(x, boundary, width):
    """The same with torch's own padding, all axes alike."""
    mode = {"periodic": "circular", "neumann_node": "reflect", "neumann_cell": "replicate"}
    return F.pad(x, [width, width] * (x.ndim - 2), mode=mode[boundary])


@pytest.mark.parametrize("boundary", ["periodic", "neumann_node", "neumann_cell"])
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4)])
def test_gradients_of_both_orders_are_those_of_torch(boundary, shape, device):
    width = 2 if boundary == "periodic" else 1
    x = torch.randn(2, 3, *shape, dtype=torch.float64, device=device, requires_grad=True)
    kinds = (boundary,) * len(shape)
    y = wrap(mirror(x, kinds), kinds, width)
    expected = by_torch(x, boundary, width)
    probe = torch.randn_like(y)
    first, second = (
        torch.autograd.grad((probe * v.sin()).sum(), x, create_graph=True)[0] for v in (y, expected)
    )
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)
    (again,) = torch.autograd.grad(first.square().sum(), x)
    (expected,) = torch.autograd.grad(second.square().sum(), x)
    torch.testing.assert_close(again, expected, rtol=1e-12, atol=1e-12)


def test_tangents_and_samples_pass_through():
    x, t = torch.randn(2, 1, 2, 4, 5, dtype=torch.float64)
    kinds = ("periodic", "neumann_node")

    def extended(u):
        return wrap(mirror(u, kinds), kinds, 2)

    _, tangent = torch.func.jvp(extended, (x,), (t,))
    torch.testing.assert_close(tangent, extended(t), rtol=0, atol=0)
    each = torch.func.vmap(torch.func.grad(lambda u: extended(u).square().sum()))(x[None])
    together = torch.func.grad(lambda u: extended(u).square().sum())(x)
    torch.testing.assert_close(each[0], together, rtol=1e-12, atol=1e-12)
