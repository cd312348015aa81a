import json

import pytest
import torch
from safetensors.torch import save
from torch import nn

from pdesolve.layers.official_scot import adapt, arguments_of, fill, read_official

CONFIG = {
    "num_channels": 4, "num_out_channels": 3, "embed_dim": 48, "depths": [4, 4],
    "num_heads": [3, 6], "image_size": 128, "skip_connections": [2, 0], "window_size": 16,
}  # fmt: skip


def test_fields_of_the_published_config_become_arguments():
    arguments = arguments_of(CONFIG | {"learn_residual": True, "use_conditioning": True})
    assert arguments["domain"].shape == (128, 128)
    assert arguments["residual"] is True
    named = ("in_channels", "out_channels", "width", "depths", "heads", "condition_dim", "window")
    assert [arguments[n] for n in named] == [4, 3, 48, (4, 4), (3, 6), 1, 16]


def test_without_conditioning_the_residual_is_left_out():
    arguments = arguments_of(CONFIG | {"learn_residual": True, "use_conditioning": False})
    assert arguments["residual"] is False
    assert arguments["condition_dim"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"},
        {"qkv_bias": False},
        {"use_absolute_embeddings": True},
        {"pretrained_window_sizes": [8, 0]},
    ],
)
def test_a_config_that_cannot_be_computed_is_refused_by_field(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        arguments_of(CONFIG | change)


def test_a_config_without_sizes_names_them():
    with pytest.raises(ValueError, match="embed_dim"):
        arguments_of({name: value for name, value in CONFIG.items() if name != "embed_dim"})


def test_a_folder_without_config_or_safe_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        read_official(tmp_path)
    (tmp_path / "config.json").write_text('{"num_channels": 1, "num_out_channels": 1, '
        '"embed_dim": 3, "depths": [1], "num_heads": [1], "image_size": 8}')  # fmt: skip
    (tmp_path / "pytorch_model.bin").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.*not opened"):
        read_official(tmp_path)


def test_files_that_were_torn_are_named(tmp_path):
    (tmp_path / "config.json").write_text('{"num_channels": ')
    with pytest.raises(ValueError, match=r"config\.json is no JSON .*download it again"):
        read_official(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "w.safetensors").write_bytes(save({"a": torch.ones(9)})[:-5])
    with pytest.raises(ValueError, match=r"w\.safetensors is damaged .*download it again"):
        read_official(tmp_path)


def test_prefixes_and_computed_tables_fall_away():
    state = {
        "module.swinv2.embeddings.patch_embeddings.projection.weight": torch.ones(48, 4, 4, 4),
        "module.patch_recovery.projection.bias": torch.ones(2),
        "encoder.layers.0.blocks.0.attention.self.relative_coords_table": torch.ones(1),
    }
    arguments, tensors = read_official(state, "S")
    assert sorted(tensors) == [
        "embeddings.patch_embeddings.projection.weight",
        "patch_recovery.projection.bias",
    ]
    assert (arguments["in_channels"], arguments["out_channels"]) == (4, 2)
    assert (arguments["width"], arguments["depths"]) == (48, (8, 8, 8, 8))


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="variant is 'XL', expected one of T, S, B, L"):
        read_official({}, "XL")


def test_tensors_that_do_not_fit_are_named():
    layer = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="1 missing: bias; 1 unknown: extra; 1 of another shape"):
        fill(layer, {"weight": torch.ones(2, 2), "extra": torch.ones(1)})


def test_sources_that_are_no_channels_are_refused():
    known = {
        "embeddings.patch_embeddings.projection.weight": torch.ones(8, 2, 4, 4),
        "patch_recovery.projection.weight": torch.ones(8, 2, 4, 4),
        "patch_recovery.projection.bias": torch.ones(2),
        "patch_recovery.mixup.weight": torch.ones(2, 2, 5, 5),
    }
    with pytest.raises(ValueError, match=r"inputs is \[5, 0\], expected 2 entries"):
        adapt(known, known, (5, 0), None)
    with pytest.raises(ValueError, match=r"outputs is \[0\], expected 2 entries"):
        adapt(known, known, None, (0,))


def test_nothing_known_leaves_what_was_drawn():
    known = {
        "embeddings.patch_embeddings.projection.weight": torch.ones(8, 2, 4, 4),
        "patch_recovery.projection.weight": torch.ones(8, 2, 4, 4),
        "patch_recovery.projection.bias": torch.ones(2),
        "patch_recovery.mixup.weight": torch.ones(2, 2, 5, 5),
    }
    drawn = {name: torch.full_like(t, 2.0) for name, t in known.items()}
    state = adapt(known, drawn, (None, None), (None, None))
    assert all(torch.equal(state[name], t) for name, t in drawn.items())
