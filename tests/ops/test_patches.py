"""Patches: the identity, where windows look, what lies beyond the grid, the published cases."""

import contextlib
import io
import itertools
import json
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from pdesolve.ops import patches

BOUNDARIES = ("circular", "replicate", "zero")


@st.composite
def decompositions(draw):
    dims = draw(st.integers(1, 3))
    levels = draw(st.integers(0, 3 if dims < 3 else 2))
    points = [draw(st.integers(1, 7 if dims < 3 else 4)) for _ in range(dims)]
    padding = [draw(st.integers(0, 9)) for _ in range(dims)]
    return [p * 2**levels for p in points], levels, padding


@settings(max_examples=40, deadline=None)
@given(
    decompositions(),
    st.sampled_from(BOUNDARIES),
    st.sampled_from(["centred", "published"]),
    st.integers(1, 3),
)
def test_patch_crop_stitch_is_the_identity(decomposition, boundary, windows, channels):
    grid, levels, padding = decomposition
    x = torch.arange(2 * channels * math.prod(grid)).reshape(2, channels, *grid)
    cut = patches.patch(x, levels, padding, boundary=boundary, windows=windows)
    core = patches.crop(cut, padding)[:, :channels]
    assert torch.equal(patches.stitch(core, levels), x)
    assert torch.equal(patches.cut(x, levels), core)


@settings(max_examples=40, deadline=None)
@given(decompositions(), st.sampled_from(BOUNDARIES))
def test_every_window_holds_the_points_of_the_index_rule(decomposition, boundary):
    # Point by point in plain Python, for one row of all.
    grid, levels, padding = decomposition
    x = 1 + torch.arange(math.prod(grid)).reshape(1, 1, *grid)
    cut = patches.patch(x, levels, padding, boundary=boundary)
    row = len(cut) // 2
    place = [row // 2 ** (levels * (len(grid) - 1 - j)) % 2**levels for j in range(len(grid))]
    for level in range(levels + 1):
        for t in itertools.product(*[(0, w - 1, w // 3) for w in cut.shape[2:]]):
            where = []
            for j, n in enumerate(grid):
                p = n // 2**levels
                first = math.floor(place[j] * p - (2**level - 1) * p / 2 + 0.5)
                where.append(first + 2**level * (t[j] - padding[j]))
            beyond = any(not 0 <= i < n for i, n in zip(where, grid, strict=True))
            if boundary == "zero" and beyond:
                expected = 0
            elif boundary == "circular":
                expected = x[0, 0][tuple(i % n for i, n in zip(where, grid, strict=True))]
            else:
                held = (min(max(i, 0), n - 1) for i, n in zip(where, grid, strict=True))
                expected = x[0, 0][tuple(held)]
            assert cut[row, level][t] == expected


@pytest.mark.parametrize(("size", "levels"), [(36, 2), (12, 1), (40, 3), (28, 2), (64, 2)])
def test_windows_are_centred_on_their_patch(size, levels):
    points = size // 2**levels
    for level in range(levels + 1):
        window = patches.window_indices(size, levels, level, padding=3)
        # A window covers 2^level points for each that it shows.
        middle = (window[:, 0] + window[:, -1] + 2**level) / 2
        patch_middle = torch.arange(2**levels) * points + points / 2
        off_centre = middle - patch_middle
        assert off_centre.abs().max() <= 0.5
        assert (off_centre == off_centre[0]).all()


@pytest.mark.parametrize("size", [16, 20, 36])
def test_last_level_without_padding_spans_the_box_once(size):
    window = patches.window_indices(size, 2, 2) % size
    for row in window.sort(1).values:
        assert torch.equal(row.diff(), torch.full((size // 4 - 1,), 4))


def test_shifting_the_field_by_a_patch_shifts_the_patches():
    x = torch.randn(1, 2, 36, 20, generator=torch.Generator().manual_seed(0))
    cut = patches.patch(x, 2, (1, 2)).unflatten(0, (4, 4))
    moved = patches.patch(x.roll((9, 10), (2, 3)), 2, (1, 2)).unflatten(0, (4, 4))
    assert torch.equal(moved, cut.roll((1, 2), (0, 1)))


@pytest.mark.parametrize("part", [range(0, 3), range(5, 8), range(7, 30)])
def test_a_part_is_those_rows_of_the_whole(part):
    x = torch.randn(2, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    whole = patches.patch(x, 2, 1, boundary="zero")
    some = patches.patch(x, 2, 1, boundary="zero", part=part)
    assert torch.equal(some, whole[part.start : part.stop])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gradient_of_a_point_counts_the_windows_that_show_it(boundary, device):
    x = torch.zeros(1, 1, 6, 4, dtype=torch.float64, device=device, requires_grad=True)
    patches.patch(x, 1, 1, boundary=boundary).sum().backward()
    index = torch.arange(24.0, dtype=torch.float64, device=device).reshape(1, 1, 6, 4)
    cut = patches.patch(index + 1, 1, 1, boundary=boundary)
    assert torch.equal(x.grad.flatten(), torch.bincount(cut.long().flatten(), minlength=25)[1:])


@pytest.mark.golden
def test_published_patches_are_reproduced_exactly(golden, device):
    names = sorted(p for p in golden.glob("*.json") if family(p).startswith("mg_patches"))
    assert names, f"no fixture of the kind mg_patches in {golden}"
    for name in names:
        about, stored = json.loads(name.read_text()), load_file(name.with_suffix(".safetensors"))
        x = stored["input"].to(device)
        for case, options in about["cases"].items():
            levels, padding = options["levels"], options["padding_pixels"]
            expected = stored[case].to(device)
            found = patches.patch(x, levels, padding, windows="published")
            assert torch.equal(found, expected), case
            if all(n // 2**levels % 2 ** (levels + 1) == 0 for n in x.shape[2:]):
                assert torch.equal(patches.patch(x, levels, padding), expected), case


def family(path):
    return json.loads(path.read_text()).get("family", path.stem)


@pytest.mark.parametrize(
    ("size", "levels", "padding", "centred"),
    [(64, 2, 4, True), (36, 1, 0, False), (36, 2, 0, False), (24, 1, 3, True), (62, 1, 0, False)],
)
def test_windows_of_neuraloperator_are_reproduced_where_it_runs(size, levels, padding, centred):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patching = pytest.importorskip("neuralop.training.patching", reason="compares with it")
    share = padding / size if padding else 0
    x = torch.arange(size * size * 2.0).reshape(1, 2, size, size)
    with contextlib.redirect_stdout(io.StringIO()):
        official = patching.MultigridPatching2D(
            torch.nn.Identity(), levels=levels, padding_fraction=share
        )
    expected, _ = official.patch(x, x)
    assert torch.equal(patches.patch(x, levels, padding, windows="published"), expected)
    assert torch.equal(patches.patch(x, levels, padding), expected) == centred


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(levels=3), r"levels is 3 on a grid of \(12, 8\) points, expected"),
        (dict(levels=-1), "levels is -1"),
        (dict(levels=1, padding=(1, 2, 3)), "padding is .* each of the 2 axes"),
        (dict(levels=1, padding=-1), "padding is -1"),
        (dict(levels=1, boundary="reflect"), "boundary is 'reflect'"),
        (dict(levels=1, windows="random"), "windows is 'random'"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, message):
    # Without the type checks of the tests, which would be first.
    function = getattr(patches.patch, "__wrapped__", patches.patch)
    with pytest.raises(ValueError, match=message):
        function(torch.zeros(1, 1, 12, 8), **arguments)


def test_cutting_a_grid_that_levels_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="levels is 2 on a grid of"):
        patches.cut(torch.zeros(1, 1, 8, 6), 2)


def test_stitching_an_incomplete_set_of_patches_is_refused():
    with pytest.raises(ValueError, match="patches has 6 rows, expected a multiple of 4"):
        patches.stitch(torch.zeros(6, 1, 3, 3), 1)
