import json

import pytest
import torch

from pdesolve.losses import RelativeL2, SobolevCurriculum
from pdesolve.training import AdamW, Interrupted, OneCycle, Settings, fit, one_step
from pdesolve.training.checkpoint import Checkpoint
from pdesolve.training.distributed import Place
from pdesolve.training.validation import relative_l2

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


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_a_run_whose_loss_changes_resumes_bit_for_bit(tiny, tmp_path, steps):
    def run(folder, stop=None, orders=(1, 0)):
        model, loss = tiny.TinyModel(), SobolevCurriculum(orders)
        fit(model, tiny.tiny_set(), folder=folder, settings=SHORT, loss=loss, stop=stop)
        return logged(folder)

    expected = run(tmp_path / "straight")
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", stop_after(steps))
    assert run(tmp_path / "resumed") == expected
    assert run(tmp_path / "other", orders=(1,)) != expected


def test_each_epoch_has_the_loss_of_its_place_in_the_course(tiny):
    def losses(loss):
        lines = fit(tiny.TinyModel(), tiny.tiny_set(), settings=SHORT, loss=loss).history
        return [line["train/loss"] for line in lines]

    moving, order_0, order_1 = (losses(SobolevCurriculum(o)) for o in ((1, 0), (0,), (1,)))
    assert moving[0] == order_1[0] != order_0[0]
    assert moving[1] != order_1[1]


def test_same_seed_gives_the_same_weights_and_another_gives_others(tiny, device):
    def trained(seed):
        model = tiny.TinyModel().to(device)
        fit(model, tiny.tiny_set(), settings=Settings(epochs=2, batch_size=5, seed=seed))
        return torch.nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(trained(3), trained(3))
    assert not torch.equal(trained(3), trained(4))


def test_random_state_of_the_caller_is_neither_used_nor_changed(tiny):
    weights = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        model = tiny.TinyModel()
        fit(model, tiny.tiny_set(), settings=SHORT)
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(torch.nn.utils.parameters_to_vector(model.parameters()))
    assert torch.equal(*weights)


def test_patience_stops_after_epochs_without_a_better_validation(tiny):
    frozen = AdamW(lr=1e-12, weight_decay=0.0)
    result = fit(
        tiny.TinyModel(),
        tiny.tiny_set(),
        tiny.tiny_set(8, seed=1),
        optimizer=frozen,
        settings=Settings(epochs=9, batch_size=8, patience=3),
    )
    assert result.best["epoch"] == 1
    assert [line["epoch"] for line in result.history] == [1, 2, 3, 4]


def test_validation_is_every_so_often_and_always_at_the_end(tiny):
    settings = Settings(epochs=5, batch_size=12, validate_every=2)
    result = fit(tiny.TinyModel(), tiny.tiny_set(), tiny.tiny_set(8, seed=1), settings=settings)
    assert [line["epoch"] for line in result.history if "valid/l2" in line] == [2, 4, 5]


@pytest.mark.parametrize("on_disk", [True, False])
def test_best_weights_are_kept_on_demand(tiny, tmp_path, on_disk):
    # A rate that grows until training diverges: the best epoch is not the last.
    schedule = OneCycle(warmup=0.99, start=0.001)
    valid = tiny.tiny_set(8, seed=1)
    model = tiny.TinyModel(dropout=0.0)
    result = fit(
        model,
        tiny.tiny_set(),
        valid,
        folder=tmp_path if on_disk else None,
        optimizer=AdamW(lr=3.0),
        schedule=schedule,
        settings=Settings(epochs=12, batch_size=8, keep="best"),
    )
    assert result.best["epoch"] < 12
    error = relative_l2(model, valid, Place(torch.device("cpu")), batch_size=8)
    assert error == result.best["valid/l2"]
    if on_disk:
        best = Checkpoint.read(tmp_path / "checkpoints" / "best.safetensors")
        assert all(torch.equal(best.tensors[k], v) for k, v in model.state_dict().items())


def test_averaged_weights_are_validated_and_left_in_the_model(tiny):
    decay, snapshots = 0.8, []

    def watched(model, batch, loss):
        snapshots.append([p.detach().clone() for p in model.parameters()])
        return one_step(model, batch, loss)

    def trained(settings):
        model = tiny.TinyModel(dropout=0.0)
        fit(model, tiny.tiny_set(), objective=watched, settings=settings)
        return list(model.parameters())

    plain = trained(Settings(epochs=1, batch_size=8))
    after_each_step = [*snapshots[1:], plain]
    expected = after_each_step[0]
    for weights in after_each_step[1:]:
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    averaged = trained(Settings(epochs=1, batch_size=8, ema_decay=decay))
    torch.testing.assert_close([p.detach() for p in averaged], [e.detach() for e in expected])


def test_finished_run_returns_what_it_came_to(tiny, tmp_path):
    def run():
        sets = tiny.tiny_set(), tiny.tiny_set(8, seed=1)
        model = tiny.TinyModel()
        return model, fit(model, *sets, folder=tmp_path, settings=SHORT)

    (first, before), (second, after) = run(), run()
    assert before.history == after.history
    assert before.best == after.best
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_training_loss_of_an_epoch_is_the_mean_over_samples(tiny):
    frozen = AdamW(lr=1e-12, weight_decay=0.0)
    model, samples = tiny.TinyModel(dropout=0.0), tiny.tiny_set(24)
    batch = samples.batch(range(24))
    expected = RelativeL2()(model(batch.x), batch.y).item()
    result = fit(model, samples, optimizer=frozen, settings=Settings(epochs=1, batch_size=7))
    assert result.history[0]["train/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("settings", [Settings(patience=2), Settings(keep="best")])
def test_choosing_weights_without_validation_is_refused(tiny, settings):
    with pytest.raises(ValueError, match="without a validation set"):
        fit(tiny.TinyModel(), tiny.tiny_set(), settings=settings)


def test_running_out_of_memory_comes_with_advice(tiny, tmp_path):
    def greedy(model, batch, loss):
        raise torch.OutOfMemoryError("no more")

    with pytest.raises(torch.OutOfMemoryError) as error:
        fit(tiny.TinyModel(), tiny.tiny_set(), objective=greedy, settings=SHORT)
    assert "batch_size 5 needs more memory" in error.value.__notes__[0]


def test_nothing_is_printed(tiny, tmp_path, capfd):
    fit(tiny.TinyModel(), tiny.tiny_set(), folder=tmp_path, settings=SHORT)
    assert capfd.readouterr() == ("", "")


def test_bar_shows_epoch_loss_validation_and_rate_on_a_terminal(tiny, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    fit(tiny.TinyModel(), tiny.tiny_set(), tiny.tiny_set(8, seed=1), settings=SHORT)
    out, shown = capfd.readouterr()
    assert out == ""
    for word in ("epoch 3", "15/15", "loss", "valid", "rate"):
        assert word in shown
