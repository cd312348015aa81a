import json

import pytest
import torch

from pdesolve.training import Interrupted, Settings, fit

SHORT = Settings(epochs=3, batch_size=5)


def logged(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


def stop_after(steps):
    calls = iter(range(1, 10**6))
    return lambda: next(calls) >= steps


def test_training_learns_a_linear_map(tiny, device):
    model = tiny.TinyModel(dropout=0.0).to(device)
    result = fit(
        model, tiny.tiny_set(), tiny.tiny_set(8, seed=1), settings=Settings(epochs=40, batch_size=8)
    )
    # Predicting zero has error 1.
    assert result.best["valid/l2"] < 0.2
    assert next(model.parameters()).device.type == device.type


def test_history_has_a_line_per_epoch_and_best_is_the_lowest(tiny):
    result = fit(tiny.TinyModel(), tiny.tiny_set(), tiny.tiny_set(8, seed=1), settings=SHORT)
    assert [line["epoch"] for line in result.history] == [1, 2, 3]
    assert [line["step"] for line in result.history] == [5, 10, 15]
    assert result.best == min(result.history, key=lambda line: line["valid/l2"])


@pytest.mark.parametrize("steps", [1, 5, 8, 14])
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_interrupted_run_resumes_bit_for_bit(tiny, device, tmp_path, steps, ema_decay):
    settings = Settings(epochs=3, batch_size=5, ema_decay=ema_decay, log_every=2)

    def run(folder, stop=None):
        model = tiny.TinyModel().to(device)
        sets = tiny.tiny_set(), tiny.tiny_set(8, seed=1)
        return model, fit(model, *sets, folder=folder, settings=settings, stop=stop)

    straight, expected = run(tmp_path / "straight")
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", stop_after(steps))
    resumed, result = run(tmp_path / "resumed")
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert logged(tmp_path / "straight") == logged(tmp_path / "resumed")
    assert len(result.history) == len(expected.history) == 3
