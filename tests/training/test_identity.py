from functools import partial

import pytest
import torch

from pdesolve.losses import RelativeL2
from pdesolve.training import AdamW, Interrupted, Muon, Settings, fit
from pdesolve.training.identity import describe, differences

BASE = {"settings": Settings(epochs=2, batch_size=8), "optimizer": AdamW()}


def started(tiny, folder):
    with pytest.raises(Interrupted):
        fit(tiny.TinyModel(), tiny.tiny_set(), folder=folder, stop=lambda: True, **BASE)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": Settings(epochs=3, batch_size=8)}, "settings.epochs was 2 and is 3"),
        ({"optimizer": AdamW(lr=0.5)}, "optimizer.lr was 0.01 and is 0.5"),
        ({"optimizer": Muon()}, "optimizer.type was 'AdamW' and is 'Muon'"),
    ],
)
def test_another_run_is_refused_with_the_difference(tiny, tmp_path, changed, named):
    started(tiny, tmp_path)
    with pytest.raises(ValueError, match=named):
        fit(tiny.TinyModel(), tiny.tiny_set(), folder=tmp_path, **BASE | changed)


def test_another_model_is_refused(tiny, tmp_path):
    started(tiny, tmp_path)
    with pytest.raises(ValueError, match=r"model.spectrum\[2\] was 8 and is 4"):
        fit(tiny.TinyModel(width=4), tiny.tiny_set(), folder=tmp_path, **BASE)


def test_other_data_are_refused(tiny, tmp_path):
    started(tiny, tmp_path)
    with pytest.raises(ValueError, match=r"train.hash was"):
        fit(tiny.TinyModel(), tiny.tiny_set(seed=5), folder=tmp_path, **BASE)


def test_resume_false_refuses_a_folder_in_use(tiny, tmp_path):
    started(tiny, tmp_path)
    with pytest.raises(ValueError, match="resume is False"):
        fit(tiny.TinyModel(), tiny.tiny_set(), folder=tmp_path, resume=False, **BASE)


def test_device_and_what_is_kept_may_change(tiny, tmp_path):
    started(tiny, tmp_path)
    settings = Settings(epochs=2, batch_size=8, device="cpu")
    assert len(
        fit(
            tiny.TinyModel(), tiny.tiny_set(), folder=tmp_path, **BASE | {"settings": settings}
        ).history
    )


def test_descriptions_hold_no_addresses():
    class Plain:
        pass

    for value in (Plain(), partial(torch.nn.functional.gelu, approximate="tanh"), RelativeL2()):
        assert "0x" not in str(describe(value))


def test_added_and_missing_values_are_differences():
    assert differences({"a": 1}, {"b": 2}) == ["a was 1 and is None", "b was None and is 2"]
