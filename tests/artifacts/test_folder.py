import hashlib
import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import pdesolve
from pdesolve import Grid
from pdesolve.artifacts import ArtifactError, load, read_metadata, save
from pdesolve.artifacts.folder import unwrap
from pdesolve.layers import Normalized
from pdesolve.operators import TFNO

FILES = ["README.md", "config.json", "metadata.json", "model.safetensors"]


def tiny(seed=0):
    torch.manual_seed(seed)
    operator = TFNO(1, 1, (4, 4), 4, 1, 0.5, domain=Grid((8, 8), 1.0, False), wall_factor=True)
    return Normalized(operator, *torch.tensor([[0.1], [0.2], [0.0], [0.4]])).eval()


@pytest.fixture
def x(generator):
    return torch.randn(2, 1, 9, 8, generator=generator)


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def redigested(folder, name, change):
    """Change a file as its author could: with the digest in metadata.json adjusted."""
    rewrite(folder / name, change)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "metadata.json").write_text(json.dumps(metadata))


def test_a_saved_model_predicts_the_same_from_its_folder_alone(tmp_path, x, device):
    model = tiny().to(device)
    assert pdesolve.save(model, tmp_path / "model") == tmp_path / "model"
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == FILES
    shutil.move(tmp_path / "model", tmp_path / "elsewhere")
    loaded = pdesolve.load(tmp_path / "elsewhere", device=device)
    assert not loaded.training
    assert torch.equal(loaded(x.to(device)), model(x.to(device)))


def test_the_dtype_of_the_weights_is_kept(tmp_path, x):
    model = tiny().double()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert torch.equal(loaded(x.double()), model(x.double()))


def test_loaded_weights_can_be_trained(tmp_path, x):
    save(tiny(), tmp_path / "model")
    model = load(tmp_path / "model")
    before = model(x).detach()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model(x), before)
    assert torch.equal(load(tmp_path / "model")(x), before)


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path):
    save(tiny(), tmp_path / "model")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load(tmp_path / "model")
    assert torch.equal(torch.rand(3), expected)


def test_metadata_is_kept_and_readable_without_the_model(tmp_path):
    noted = {"units": {"u": "K"}, "metrics": {"test/l2": 0.07, "diverged": float("nan")}}
    save(tiny(), tmp_path / "model", metadata=noted)
    metadata = read_metadata(tmp_path / "model")
    assert metadata["units"] == {"u": "K"}
    assert metadata["metrics"] == {"test/l2": 0.07, "diverged": None}
    assert metadata["pdesolve_version"] == pdesolve.__version__
    assert "| units |" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize("metadata", [{"when": object()}, {"sha256": "mine"}])
def test_metadata_that_cannot_be_kept_is_refused_before_anything_is_written(tmp_path, metadata):
    with pytest.raises(ArtifactError):
        save(tiny(), tmp_path / "model", metadata=metadata)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("position", [0.0, 0.3, 0.99])
def test_one_flipped_bit_is_noticed(tmp_path, name, position):
    save(tiny(), tmp_path / "model")

    def flip(content):
        index = int(position * len(content))
        return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]

    rewrite(tmp_path / "model" / name, flip)
    with pytest.raises(ArtifactError, match=f"{name} differs from the digest"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "metadata.json"])
def test_a_missing_or_truncated_file_is_named(tmp_path, name):
    save(tiny(), tmp_path / "model")
    rewrite(tmp_path / "model" / name, lambda content: content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name):
        load(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        load(tmp_path / "model")


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"holds no config\.json"):
        load(tmp_path)
    with pytest.raises(ArtifactError, match=r"holds no config\.json"):
        read_metadata(tmp_path / "nothing")


def test_weights_that_do_not_fit_are_named(tmp_path):
    save(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"missing .*'2.weight'.* unexpected .*'1.weight'"):
        load(tmp_path / "model", nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    with pytest.raises(ArtifactError, match=r"size mismatch for 0\.weight"):
        load(tmp_path / "model", nn.Sequential(nn.Linear(2, 4), nn.Linear(3, 1)))


def test_a_file_that_names_another_class_builds_nothing(tmp_path):
    save(tiny(), tmp_path / "model")
    redigested(tmp_path / "model", "config.json", lambda c: c.replace(b"TFNO", b"os.system"))
    with pytest.raises(ArtifactError, match=r"class 'os\.system' is not known"):
        load(tmp_path / "model")


def test_a_folder_of_a_later_format_is_refused(tmp_path):
    save(tiny(), tmp_path / "model")
    redigested(
        tmp_path / "model", "config.json", lambda c: c.replace(b'"format": 1', b'"format": 2')
    )
    with pytest.raises(ArtifactError, match="is of format 2, expected 1"):
        load(tmp_path / "model")


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path):
    save(tiny(), tmp_path / "model")
    torch.save(tiny().state_dict(), tmp_path / "weights.pt")
    pickled = (tmp_path / "weights.pt").read_bytes()
    redigested(tmp_path / "model", "model.safetensors", lambda content: pickled)
    with pytest.raises(ArtifactError, match="is no safetensors file"):
        load(tmp_path / "model")


def test_a_foreign_module_is_filled_but_never_built(tmp_path):
    torch.manual_seed(0)
    model = Normalized(nn.Conv2d(1, 1, 1), *torch.tensor([[0.1], [0.2], [0.3], [0.4]]))
    save(model, tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"weights of torch\.nn\.modules\.conv\.Conv2d"):
        load(tmp_path / "model")
    other = Normalized(nn.Conv2d(1, 1, 1), *torch.tensor([[0.0], [1.0], [0.0], [1.0]]))
    assert load(tmp_path / "model", other) is other
    x = torch.ones(1, 1, 3, 3)
    assert torch.equal(other(x), model(x))


def test_neuraloperators_model_is_saved_and_filled(tmp_path, generator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("neuralop", reason="saves a neuraloperator model")
        from neuralop.models import FNO

        def wrapped():
            operator = FNO(n_modes=(4, 4), in_channels=1, out_channels=1, hidden_channels=4)
            return Normalized(operator, *torch.tensor([[0.1], [0.2], [0.3], [0.4]]))

        x = torch.randn(1, 1, 8, 8, generator=generator)
        for model, other in [(wrapped(), wrapped()), (wrapped().operator, wrapped().operator)]:
            save(model, tmp_path / "model")
            assert torch.equal(load(tmp_path / "model", other)(x), model(x))


WRAPPERS = {
    "torch.compile": torch.compile,
    "AveragedModel": AveragedModel,
    "DataParallel": nn.DataParallel,
    "averaged and compiled": lambda model: torch.compile(AveragedModel(model)),
}


# torch.compile's own modules warn when they are first imported.
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_are_taken_off_to_save_and_looked_through_to_fill(wrap, tmp_path, x):
    model = tiny()
    save(wrap(model), tmp_path / "model")
    assert torch.equal(load(tmp_path / "model")(x), model(x))
    other = wrap(tiny(seed=1))
    assert load(tmp_path / "model", other) is other
    assert torch.equal(unwrap(other)(x), model(x))


def test_the_averaged_weights_are_what_is_saved(tmp_path, x):
    model = tiny()
    averaged = AveragedModel(model)
    for seed in (1, 2):
        model.load_state_dict(tiny(seed).state_dict())
        averaged.update_parameters(model)
    save(averaged, tmp_path / "model")
    loaded = load(tmp_path / "model")
    bias = [tiny(seed).operator.projection.second.bias for seed in (1, 2)]
    torch.testing.assert_close(loaded.operator.projection.second.bias, sum(bias) / 2)


def test_a_newer_save_replaces_the_older_and_leaves_nothing_behind(tmp_path, x):
    save(tiny(), tmp_path / "model")
    save(tiny(seed=1), tmp_path / "model")
    assert torch.equal(load(tmp_path / "model")(x), tiny(seed=1)(x))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_other_files_in_the_folder_are_never_deleted(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds \['notes\.txt'\]"):
        save(tiny(), tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="is a file"):
        save(tiny(), tmp_path / "file")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path, x, monkeypatch):
    save(tiny(), tmp_path / "model")
    rename, calls = Path.rename, []

    def second_fails(path, target):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(KeyboardInterrupt):
        save(tiny(seed=1), tmp_path / "model")
    monkeypatch.undo()
    assert not (tmp_path / "model").exists()
    assert torch.equal(load(tmp_path / "model")(x), tiny()(x))
    save(tiny(seed=2), tmp_path / "model")
    assert torch.equal(load(tmp_path / "model")(x), tiny(seed=2)(x))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
