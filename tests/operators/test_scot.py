import itertools
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pdesolve import Grid
from pdesolve.layers.official_scot import SIZES, arguments_of
from pdesolve.losses import GroupedRelativeL1
from pdesolve.operators import ScOT
from pdesolve.ops import fourier

TOLERANCE = 1e-11
TINY = {"width": 12, "depths": (2, 2), "heads": (3, 6), "skips": (1, 0), "window": 4, "patch": 2}


def tiny(in_channels=2, out_channels=2, seed=0, **options):
    torch.manual_seed(seed)
    return ScOT(in_channels, out_channels, **TINY | options)


def shaken(model):
    """All weights large, so that every part is felt."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def golden_names(pattern):
    """Fixture files, found when the tests are collected (one test each)."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("PDESOLVE_GOLDEN", root.parent / "shared" / "data" / "golden"))
    found = sorted(p for p in folder.glob("*.json") if _is_scot(p))
    return [p.stem for p in found if p.stem.endswith("_keys") == (pattern == "keys")] or ["none"]


def _is_scot(path):
    return json.loads(path.read_text()).get("family", path.stem.partition("_")[0]) == "scot"


def fixture(golden, name):
    path = golden / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no fixture of scOT in {golden}")
    return json.loads(path.read_text())


def relative(actual, expected):
    return float((actual.detach().cpu() - expected).abs().max() / expected.abs().max())


@pytest.fixture
def official(golden, device):
    """Description, tensors, operator and condition of a fixture."""

    def read(name):
        description = fixture(golden, name)
        tensors = {k: t.to(device) for k, t in load_file(golden / f"{name}.safetensors").items()}
        state = {k[8:]: t.double() for k, t in tensors.items() if k.startswith("weights/")}
        arguments = arguments_of(description["constructor"])
        del arguments["in_channels"], arguments["out_channels"]
        operator = ScOT.from_official(state, **arguments).to(device).eval()
        time = tensors["time"][:, None] if "time" in tensors else None
        return description, tensors, operator, time

    return read


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_names("fixtures"))
def test_official_weights_give_the_official_output(name, official):
    description, tensors, operator, time = official(name)
    assert sum(p.numel() for p in operator.parameters()) == description["parameters"]
    x = tensors["input"].requires_grad_()
    y = operator(x, time)
    if "probe" in tensors:
        (gradient,) = torch.autograd.grad((y * tensors["probe"]).sum(), x, retain_graph=True)
        assert relative(gradient, tensors["grad_input"].cpu()) < TOLERANCE
    if "pixel_mask" in tensors:
        y = torch.where(whole(tensors["pixel_mask"], y), tensors["labels"], y)
    assert relative(y, tensors["output"].cpu()) < TOLERANCE


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_names("fixtures"))
def test_other_image_sizes_go_through_the_official_resampling(name, official):
    _, tensors, operator, time = official(name)
    sizes = [k.removeprefix("input_") for k in tensors if k.startswith("input_")]
    for size in (s for s in sizes if s.isdigit()):
        y = operator(tensors[f"input_{size}"], time)
        assert relative(y, tensors[f"output_{size}"].cpu()) < TOLERANCE


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_names("fixtures"))
def test_the_loss_is_the_official_one(name, official):
    description, tensors, operator, time = official(name)
    if "loss" not in tensors:
        return
    labels, y = tensors["labels"], operator(tensors["input"], time)
    constructor = description["constructor"]
    bounds, p = constructor["channel_slice_list_normalized_loss"], constructor["p"]
    mask = tensors.get("pixel_mask")
    if mask is not None:
        # There the mask marks what is hidden.
        mask = ~whole(mask, y)
    if bounds is None:
        error = y - labels if mask is None else (y - labels) * mask
        loss = error.abs().mean() if p == 1 else error.square().mean()
    else:
        groups = tuple(b - a for a, b in itertools.pairwise(bounds))
        grouped = GroupedRelativeL1(groups, power=p, reduction="batch", official=True)
        loss = grouped(y, labels, mask=mask)
    assert relative(loss.detach(), tensors["loss"].cpu()) < TOLERANCE


def whole(mask, field):
    """A mask of channels or of pixels at the shape of a field."""
    return mask.reshape(*mask.shape, *[1] * (field.ndim - mask.ndim)).expand_as(field)


@pytest.mark.golden
@pytest.mark.parametrize("name", golden_names("keys"))
def test_tensors_are_called_and_shaped_as_the_published_ones(name, golden):
    description = fixture(golden, name)
    with torch.device("meta"):
        operator = ScOT(**arguments_of(description["constructor"]))
    shapes = {key: list(t.shape) for key, t in operator.state_dict().items()}
    assert shapes == description["shapes"]


@pytest.mark.parametrize(
    ("size", "count"), [("T", 20774444), ("S", 39901076), ("B", 157729988), ("L", 628575524)]
)
def test_parameter_count_of_published_sizes(size, count):
    with torch.device("meta"):
        operator = ScOT(4, 4, **SIZES[size])
    assert sum(p.numel() for p in operator.parameters()) == count


@pytest.mark.parametrize(
    ("channels", "options", "count"),
    [
        ((1, 1), {}, 20769458),
        ((2, 2), {}, 20771070),
        ((2, 1), {}, 20770226),
        ((5, 5), {}, 20776206),
        ((4, 4), {"condition_dim": 0}, 20747948),
        ((4, 4), {"skip_block": "resnet"}, 21705836),
    ],
)
def test_parameter_count_of_other_channels_and_blocks(channels, options, count):
    with torch.device("meta"):
        operator = ScOT(*channels, **options)
    assert sum(p.numel() for p in operator.parameters()) == count


def test_the_recorded_numbers_of_a_model_of_sines():
    model = ScOT(
        4, 4, 24, (2, 2, 2, 2), window=8, domain=Grid((64, 64), 1.0, periodic=True)
    ).double()  # fmt: skip
    with torch.no_grad():
        for k, (name, t) in enumerate(sorted(model.state_dict().items())):
            n = torch.arange(t.numel(), dtype=torch.float64)
            t.copy_((0.1 * torch.sin(n + k)).reshape(t.shape))
            one_norm = "norm" in name and name.endswith("weight.bias")
            skip = name.startswith("residual_blocks") and name.count(".") == 3
            t.add_(1.0 if one_norm else 2.0 if "logit" in name else 0.5 if skip else 0.0)
    i, j = (torch.arange(64, dtype=torch.float64).reshape(s) for s in ((64, 1), (1, 64)))
    c = torch.arange(4, dtype=torch.float64).reshape(4, 1, 1)
    field = torch.sin(0.1 * (i + 1) * (c + 1)) * torch.cos(0.07 * (j + 1))
    y = model(torch.stack([field, field + 0.1]), torch.tensor([[0.1], [0.7]]).double())
    expected = {
        (0, 0, 0, 0): -0.276213, (0, 1, 10, 20): -0.302807,
        (1, 2, 31, 32): -0.101070, (1, 3, 63, 63): -0.070120,
    }  # fmt: skip
    assert sum(p.numel() for p in model.parameters()) == 2914976
    for place, value in expected.items():
        assert float(y[place].detach()) == pytest.approx(value, abs=1e-5)


def test_the_lead_time_is_divided_by_its_scale(generator):
    x = torch.randn(2, 2, 16, 16, generator=generator)
    t = torch.tensor([[3.0], [8.0]])
    slow, fast = shaken(tiny(time_scale=10.0)), tiny()
    fast.load_state_dict(slow.state_dict())
    torch.testing.assert_close(slow(x, t), fast(x, t / 10), rtol=1e-5, atol=1e-6)


def test_steady_problems_have_a_default_condition(generator):
    x = torch.randn(1, 2, 16, 16, generator=generator)
    model = shaken(tiny(default_condition=1.0))
    assert torch.equal(model(x), model(x, torch.ones(1, 1)))


@pytest.mark.parametrize(
    ("dim", "condition"), [(1, None), (0, torch.ones(1, 1)), (1, torch.ones(1, 2))]
)
def test_a_condition_of_another_size_is_refused(dim, condition):
    with pytest.raises(ValueError, match=r"condition of shape .* build ScOT with condition_dim="):
        tiny(condition_dim=dim)(torch.ones(1, 2, 16, 16), condition)


def test_official_initial_values_show_nothing_of_the_input_at_time_zero(generator):
    x = torch.randn(2, 2, 16, 16, generator=generator)
    official, unit = tiny(initial="official"), tiny()
    zero = torch.zeros(2, 1)
    assert torch.equal(official(x, zero)[0], official(x, zero)[1])
    assert (unit(x, zero)[0] - unit(x, zero)[1]).abs().max() > 1e-3


def test_fields_on_another_grid_are_resampled_there_and_back(generator):
    domain = Grid((16, 16), 1.0, periodic=True)
    model, native = shaken(tiny(domain=domain)), tiny()
    native.load_state_dict(model.state_dict())
    coarse = torch.randn(1, 2, 12, 10, generator=generator)
    t = torch.full((1, 1), 0.5)
    expected = fourier.resample(native(fourier.resample(coarse, (16, 16)), t), (12, 10))
    torch.testing.assert_close(model(coarse, t), expected, rtol=1e-5, atol=1e-5)


def test_official_resampling_halves_the_highest_mode():
    waves = torch.cos(torch.pi * torch.arange(32.0) / 2).expand(1, 2, 32, 32)
    halves = [tiny(domain=Grid((16, 16), 1.0, True), resampling=r) for r in ("exact", "official")]
    exact, official = (model._resampled(waves, (16, 16)) for model in halves)
    torch.testing.assert_close(official, exact / 2, rtol=1e-5, atol=1e-5)


def test_the_residual_adds_the_first_channels_of_the_input(generator):
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.ones(1, 1)
    with_sum, without = tiny(3, 2, residual=True), tiny(3, 2)
    torch.testing.assert_close(with_sum(x, t), without(x, t) + x[:, :2], rtol=1e-5, atol=1e-6)


def test_checkpointing_changes_memory_and_not_gradients(generator):
    x, t = torch.randn(2, 2, 16, 16, generator=generator), torch.rand(2, 1, generator=generator)
    plain, thrifty = tiny(), tiny(checkpointing=True)
    saved = []
    for model in (plain, thrifty):
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: (saved.append(t.numel()), t)[1], lambda t: t
        ):
            y = model(x, t)
        saved.append(-1)
        y.square().mean().backward()
    first, second = " ".join(map(str, saved)).split(" -1")[:2]
    assert len(second.split()) < len(first.split()) / 2
    for p, q in zip(plain.parameters(), thrifty.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-8)


def test_training_lowers_the_error_of_a_shift_in_time(generator):
    model, x = tiny(), torch.randn(4, 2, 16, 16, generator=generator)
    t = torch.rand(4, 1, generator=generator)
    target = x * (1 + t[..., None, None])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = (model(x, t) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": (2,)}, "depths, heads and skips have 1, 2 and 2 entries"),
        ({"domain": Grid((8,), 1.0, True)}, "domain has 1 axes, expected 2"),
        ({"out_channels": 3, "residual": True}, "leave residual out"),
        ({"in_channels": 0}, "in_channels is 0 and out_channels 2, expected at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


@pytest.mark.parametrize("channels", [(3, 3), (5, 1), (1, 4), (2, 2)])
def test_an_adapted_operator_keeps_known_channels_and_starts_finite(channels, generator):
    model = shaken(tiny(2, 2)).eval()
    new = model.adapted(*channels)
    x = torch.randn(2, channels[0], 16, 16, generator=generator)
    t = torch.rand(2, 1, generator=generator)
    y = new(x, t)
    assert y.isfinite().all()
    known = torch.zeros(2, 2, 16, 16)
    shared = min(2, channels[0])
    known[:, :shared] = x[:, :shared]
    if channels[0] >= 2:
        # Where fewer outputs are kept, the last convolution no longer hears the others.
        expected = model(known, t)
        if channels[1] >= 2:
            torch.testing.assert_close(y[:, :2], expected, rtol=1e-4, atol=1e-4)
        assert torch.equal(y[:, 2:], torch.zeros_like(y[:, 2:]))


def test_a_fresh_operator_for_other_channels_stays_within_ten_times_its_input(generator):
    adapted = tiny(4, 4).adapted(7, 6)
    x = torch.randn(2, 7, 16, 16, generator=generator)
    y = adapted(x, torch.rand(2, 1, generator=generator))
    assert y.isfinite().all()
    assert y.square().mean().sqrt() < 10 * x.square().mean().sqrt()


def test_channels_are_kept_in_the_order_that_is_asked_for(generator):
    model = shaken(tiny(3, 3))
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.ones(1, 1)
    new = model.adapted(3, 3, inputs=(2, 0, 1), outputs=(1, 2, 0))
    expected = model(x, t)[:, [1, 2, 0]]
    torch.testing.assert_close(new(x[:, [2, 0, 1]], t), expected, rtol=1e-4, atol=1e-5)


def test_a_published_folder_is_read_and_adapted(tmp_path, generator):
    model, x = published(tmp_path), torch.randn(1, 2, 16, 16, generator=generator)
    t = torch.full((1, 1), 0.3)
    same = ScOT.from_official(tmp_path, time_scale=2.0)
    torch.testing.assert_close(same(x, 2 * t), model(x, t), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        ScOT.from_official(tmp_path, in_channels=0)
    other = ScOT.from_official(tmp_path, in_channels=3, out_channels=1)
    assert (other.in_channels, other.out_channels) == (3, 1)
    assert other(torch.cat([x, x[:, :1]], 1), t).shape == (1, 1, 16, 16)


def published(folder):
    """A model of ours, written as the published ones are."""
    from safetensors.torch import save_file

    model = shaken(tiny(domain=Grid((16, 16), 1.0, True), resampling="official"))
    config = {
        "architectures": ["SwinForPDE"], "num_channels": 2, "num_out_channels": 2,
        "image_size": 16, "patch_size": 2, "embed_dim": 12, "depths": [2, 2], "num_heads": [3, 6],
        "skip_connections": [1, 0], "window_size": 4, "use_conditioning": True, "mlp_ratio": 4.0,
        "pretrained_window_sizes": [0, 0], "hidden_act": "gelu", "learn_residual": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    save_file({f"module.{k}": t for k, t in model.state_dict().items()}, folder / "w.safetensors")
    return model
