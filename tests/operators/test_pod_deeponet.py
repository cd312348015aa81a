import pytest
import torch

from pdesolve import Grid
from pdesolve.operators import PODDeepONet

PLANE = Grid((5, 4), 1.0, periodic=False)


def outputs(samples=12, rank=3):
    generator = torch.Generator().manual_seed(0)
    shapes = torch.randn(rank, 2, 5, 4, generator=generator, dtype=torch.float64)
    amplitudes = torch.randn(samples, rank, generator=generator, dtype=torch.float64)
    return 1.5 + torch.tensordot(amplitudes * torch.tensor([9.0, 3.0, 1.0])[:rank], shapes, 1)


def fitted(samples=12, rank=3, **options):
    model = PODDeepONet(1, 2, domain=PLANE, basis=rank, **options)
    energy = model.fit_modes(outputs(samples, rank).float().split(5))
    return model, energy


def test_modes_span_outputs_of_as_low_a_rank():
    model, energy = fitted()
    fields = (outputs().float() - model.mean).flatten(1)
    modes = model.modes.flatten(1)
    projected = fields @ modes.T / modes.shape[1] @ modes
    torch.testing.assert_close(projected, fields, rtol=1e-4, atol=1e-4)
    assert energy.sum() == pytest.approx(1.0, abs=1e-6)
    assert (energy.diff() <= 0).all()


def test_modes_are_orthogonal_of_root_mean_square_one():
    modes = fitted()[0].modes.flatten(1)
    torch.testing.assert_close(modes @ modes.T / modes.shape[1], torch.eye(3), atol=1e-5, rtol=0)


def test_the_mean_is_added_or_is_a_mode():
    assert torch.allclose(fitted()[0].mean, outputs().mean(0).float(), atol=1e-5)
    model, _ = fitted(centred=False)
    assert not model.mean.any()


def test_the_output_is_the_mean_and_the_modes(device):
    model = fitted(trunk=(6,), trunk_basis=4)[0].to(device)
    torch.nn.init.normal_(model.bias)
    x = torch.randn(3, 1, 5, 4, device=device)
    b = model.branch(x, None)
    t = model.trunk(2 * PLANE.coordinates(device=device).float().flatten(1).T - 1)
    learned = torch.einsum("bck,nck->bcn", b[:, 3:].unflatten(1, (2, 4)), t.unflatten(1, (2, 4)))
    expected = model.mean + torch.einsum("bk,kcnm->bcnm", b[:, :3], model.modes)
    expected = expected + learned.unflatten(2, (5, 4)) + model.bias[:, None, None]
    torch.testing.assert_close(model(x), expected)


def test_modes_travel_with_the_weights():
    model, _ = fitted()
    other = PODDeepONet(1, 2, domain=PLANE, basis=3)
    other.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 5, 4)
    assert torch.equal(other(x), model(x))


def test_modes_must_be_known_and_few_enough():
    model = PODDeepONet(1, 2, domain=PLANE, basis=13)
    with pytest.raises(RuntimeError, match="modes are not known"):
        model(torch.zeros(1, 1, 5, 4))
    with pytest.raises(
        ValueError, match=r"outputs are 12 fields of shape \(2, 5, 4\), expected 13"
    ):
        model.fit_modes([outputs()])
