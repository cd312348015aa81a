"""MG-TFNO: what a patch sees, the published pipeline, memory of one chunk."""

import contextlib
import importlib.util
import io
import warnings
import weakref
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pdesolve import Grid
from pdesolve.operators import MGTFNO, TFNO

_spec = importlib.util.spec_from_file_location("tfno", Path(__file__).with_name("test_tfno.py"))
_tfno = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tfno)


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


def test_parameter_count_of_the_dense_baseline_is_the_papers_67_million():
    # Two corners of 32 x 32 modes for each of 4 layers, 64 x 64 channels, complex.
    with torch.device("meta"):
        model = TFNO(1, 1, (64, 62), 64, layers=4, rank=None)
    named = [pair for block in model.blocks for pair in block.spectral.named_parameters()]
    spectral = sum(p.numel() for name, p in named if name != "bias")
    assert spectral == 4 * 2 * 64**2 * 32 * 32 * 2 == 67_108_864


@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("coordinates", [True, False])
@pytest.mark.parametrize("local", [True, False])
def test_parameter_count_grows_with_the_channels_of_the_levels_only(levels, coordinates, local):
    options = {"modes": (8, 8), "width": 6, "rank": 0.1, "lifting_width": 10}
    plain = TFNO(3, 1, **options, coordinates=coordinates, joint=True)
    ours = MGTFNO(3, 1, **options, coordinates=coordinates, patch_coordinates=local, levels=levels)
    more = levels * (3 + 2 * coordinates) + 2 * local
    assert parameter_count(ours) - parameter_count(plain) == 10 * more


@pytest.mark.parametrize(
    ("levels", "padding"), [(1, 0.0), (1, 0.125), (2, 0.0625), (1, [0.125, 0.25])]
)
@pytest.mark.parametrize("embedding", ["grid", None])
def test_pipeline_of_neuraloperator_with_the_same_weights_gives_the_same_field(
    levels, padding, embedding, generator
):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        pytest.importorskip("neuralop", reason="compares with neuraloperator")
        from neuralop.models import TFNO as Official
        from neuralop.training.patching import MultigridPatching2D

        official = Official(
            n_modes=(6, 8), in_channels=2 * (levels + 1), out_channels=1, hidden_channels=8,
            n_layers=2, rank=0.2, positional_embedding=embedding,
        )  # fmt: skip
        cutter = MultigridPatching2D(official, levels=levels, padding_fraction=padding)
        ours = MGTFNO(
            2, 1, (6, 8), 8, 2, 0.2, levels=levels, padding=padding, joint=False,
            coordinates=False, patch_coordinates=embedding is not None,
        )  # fmt: skip
        _tfno.copy_from_neuraloperator(official, ours.operator)
        assert parameter_count(ours) == sum(
            p.numel() * (2 if p.is_complex() else 1) for p in official.parameters()
        )
        x = torch.randn(2, 2, 32, 32, generator=generator)
        cut, _ = cutter.patch(x, x)
        expected, _ = cutter.unpatch(official(cut), x)
    error = (ours(x) - expected).abs().max() / expected.abs().max()
    assert error < 1e-5


def test_without_levels_it_is_a_tfno(device, generator):
    torch.manual_seed(0)
    plain = TFNO(1, 1, (6, 6), 4, 2, joint=True).to(device)
    torch.manual_seed(0)
    ours = MGTFNO(1, 1, (6, 6), 4, 2, levels=0, patch_coordinates=False).to(device)
    x = torch.randn(2, 1, 9, 12, generator=generator).to(device)
    torch.testing.assert_close(ours(x), plain(x))


@pytest.mark.parametrize("windows", ["centred", "published"])
def test_shift_by_a_patch_is_followed_without_coordinates(windows, generator):
    # 2^(levels + 1) does not divide the patches of 9 and 10 points: only centred windows follow.
    model = MGTFNO(1, 1, (4, 4), 4, 2, levels=2, coordinates=False, windows=windows).double()
    x = torch.randn(1, 1, 36, 40, generator=generator, dtype=torch.float64)
    moved = model(x.roll((9, 20), (2, 3)))
    follows = torch.allclose(moved, model(x).roll((9, 20), (2, 3)), rtol=0, atol=1e-12)
    assert follows == (windows == "centred")


def test_patches_see_the_coordinates_of_the_whole_field():
    domain = Grid((8, 8), (2.0, 1.0), periodic=False)
    model = MGTFNO(1, 1, (4, 4), 4, 1, levels=1, padding=(0.25, 0.0), domain=domain)
    seen = []
    model.operator.lifting.register_forward_hook(lambda module, given, y: seen.append(given[0]))
    model(torch.zeros(1, 1, 8, 8))
    s = torch.arange(8) / 7
    # Patch (1, 0): along x points 2 ... 9 of the periodic extension, at half the resolution
    # points 4 - 2 - 2 * 2 + 2 t; channels x, s_x, s_y of level 0, then of level 1, then the
    # positions in the window.
    assert seen[0].shape == (4, 8, 8, 4)
    torch.testing.assert_close(seen[0][2, 1, :, 0], s[[2, 3, 4, 5, 6, 7, 0, 1]])
    torch.testing.assert_close(seen[0][2, 4, :, 0], s[[6, 0, 2, 4, 6, 0, 2, 4]])
    torch.testing.assert_close(seen[0][2, 2, 0], s[:4])
    torch.testing.assert_close(seen[0][2, 6, :, 0], torch.arange(8) / 8)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunks_change_neither_output_nor_gradients(chunk, device, generator):
    torch.manual_seed(0)
    whole = MGTFNO(1, 1, (4, 4), 4, 2, 0.3, levels=1, padding=0.1).to(device, torch.float64)
    torch.manual_seed(0)
    chunked = MGTFNO(1, 1, (4, 4), 4, 2, 0.3, levels=1, padding=0.1, patch_chunk=chunk)
    chunked.to(device, torch.float64)
    x = torch.randn(2, 1, 10, 12, generator=generator, dtype=torch.float64).to(device)
    for model in (whole, chunked):
        model(x).square().sum().backward()
    torch.testing.assert_close(chunked(x), whole(x), rtol=1e-12, atol=1e-13)
    for one, other in zip(chunked.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations made and that are still alive."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return out

    def count(self, storage):
        if storage in self.known:
            return
        size = storage.nbytes()
        self.known[storage] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.release, size)

    def release(self, size):
        self.now -= size


def peak_bytes(chunk, samples):
    torch.manual_seed(0)
    model = MGTFNO(1, 1, (4, 4), 16, 4, levels=1, patch_chunk=chunk)
    x = torch.randn(samples, 1, 32, 32)
    with LiveBytes() as live:
        model(x).square().sum().backward()
    return live.peak


def test_memory_of_a_step_is_bounded_by_one_chunk():
    few, many = (peak_bytes(chunk=2, samples=n) for n in (1, 16))
    all_at_once = peak_bytes(chunk=None, samples=16)
    # 16 times the patches: only fields of the size of x and y grow. One chunk is 2 of 64 patches.
    fields = 16 * 32 * 32 * 4
    assert many - few < 6 * fields
    assert all_at_once > 10 * many


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(levels=-1), "levels is -1, expected >= 0"),
        (dict(patch_chunk=0), "patch_chunk is 0, expected"),
        (dict(padding=-0.1), "padding is -0.1, expected one share"),
        (dict(padding=(0.1,)), "each of the 2 axes"),
        (dict(wall_factor=True), "wall_factor with domain None"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MGTFNO(1, 1, (4, 4), 4, 1, **options)


def test_a_grid_that_levels_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"levels is 2 on a grid of \(12, 10\) points"):
        MGTFNO(1, 1, (4, 4), 4, 1, levels=2)(torch.zeros(1, 1, 12, 10))
