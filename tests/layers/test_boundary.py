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
