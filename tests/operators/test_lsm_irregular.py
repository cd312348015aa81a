import pytest
import torch

import pdesolve
from pdesolve.operators import LSMIrregular

POINTS = 40


def small(**options):
    torch.manual_seed(0)
    options = {"heads": 2, "scales": 3, "shape": (16, 16), "modes": (8, 7), "patch": 2} | options
    return LSMIrregular(2, 1, 4, map_width=8, **options).eval()


def sample(*, batch=2, condition_dim=0, device="cpu", dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 2, POINTS, generator=generator).to(device, dtype)
    points = torch.rand(batch, POINTS, 2, generator=generator).to(device, dtype)
    condition = torch.rand(batch, condition_dim, generator=generator).to(device, dtype)
    return x, condition if condition_dim else None, points


def test_parameter_count_is_the_published_one():
    with torch.device("meta"):
        model = LSMIrregular(2, 1, 32, condition_dim=42, idle=True)
    # Complex weights are stored, and counted, as two real ones; the last is the coordinate map.
    assert sum(p.numel() for p in model.parameters()) == 5_992_609 + 63_746


@pytest.mark.parametrize("condition_dim", [0, 3])
def test_every_parameter_and_the_input_get_a_gradient(condition_dim, device):
    model = small(condition_dim=condition_dim, drop_dead_sine=True).double().to(device)
    x, condition, points = sample(condition_dim=condition_dim, device=device)
    x.requires_grad_()
    y = model(x, condition, points=points)
    assert y.shape == (2, 1, POINTS)
    y.square().sum().backward()
    assert [n for n, p in model.named_parameters() if not p.grad.abs().max() > 0] == []
    assert x.grad.abs().max() > 0


def test_points_of_all_samples_may_be_given_once(device):
    model = small().double().to(device)
    x, _, points = sample(device=device)
    once = model(x, points=points[0])
    each = model(x, points=points[:1].expand(2, -1, -1))
    torch.testing.assert_close(once, each, rtol=0, atol=1e-12)


def test_the_order_of_the_points_does_not_matter(device):
    model = small().double().to(device)
    x, _, points = sample(device=device)
    order = torch.randperm(POINTS)
    found = model(x[..., order], points=points[:, order])
    expected = model(x, points=points)[..., order]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_query_points_that_are_the_points_change_nothing_and_others_are_taken():
    model = small().double()
    x, _, points = sample()
    same = model(x, points=points, query=points.clone())
    torch.testing.assert_close(same, model(x, points=points), rtol=0, atol=1e-12)
    part = model(x, points=points, query=points[:, 3:8])
    torch.testing.assert_close(part, same[..., 3:8], rtol=0, atol=1e-12)


def test_samples_of_a_batch_do_not_influence_each_other():
    model = small(condition_dim=3).double()
    x, condition, points = sample(batch=3, condition_dim=3)
    together = model(x, condition, points=points)
    alone = model(x[1:2], condition[1:2], points=points[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-12)


def test_float32_agrees_with_float64():
    wide = small().double()(sample()[0], points=sample()[2])
    x, _, points = sample(dtype=torch.float32)
    torch.testing.assert_close(small()(x, points=points).double(), wide, rtol=1e-3, atol=1e-4)


def test_a_saved_operator_is_rebuilt_from_its_folder(tmp_path):
    model = small(condition_dim=3)
    pdesolve.save(model, tmp_path / "model")
    x, condition, points = sample(condition_dim=3, dtype=torch.float32)
    loaded = pdesolve.load(tmp_path / "model")
    assert torch.equal(loaded(x, condition, points=points), model(x, condition, points=points))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(x=torch.ones(2, 3, POINTS)), "x has shape"),
        (dict(points=torch.ones(POINTS - 1, 2)), r"expected \(40, 2\)"),
        (dict(condition=torch.ones(2, 3)), "condition of shape"),
    ],
)
def test_input_that_does_not_fit_is_refused(change, message):
    arguments = {"x": torch.ones(2, 2, POINTS), "points": torch.ones(POINTS, 2)} | change
    with pytest.raises(ValueError, match=message):
        small()(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(shape=(16, 12)), "shape is .* expected two multiples of 8"),
        (dict(heads=3), "not a multiple of heads 3"),
        (dict(modes=(18, 7)), "modes is"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
