import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pdesolve.training.record import Record


def line(step, **more):
    return {"epoch": step, "step": step, "train/loss": 1.0 / step, **more}


def test_log_is_cut_to_the_position_of_the_checkpoint(tmp_path):
    record = Record(tmp_path)
    record.write(line(1))
    position = record.position()
    record.write(line(2, lost=True))
    record.close()
    resumed = Record(tmp_path, position=position, step=1)
    resumed.write(line(2))
    resumed.close()
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [line(1), line(2)] == resumed.lines


def test_half_a_line_of_a_dead_process_is_cut(tmp_path):
    record = Record(tmp_path)
    record.write(line(1))
    position = record.position()
    record.close()
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"epoch": 2, "st')
    resumed = Record(tmp_path, position=position, step=1)
    assert resumed.lines == [line(1)]
    resumed.close()


def test_numbers_that_are_not_finite_become_null(tmp_path):
    record = Record(tmp_path)
    record.write({"epoch": 1, "step": 1, "train/loss": float("nan")})
    record.close()
    assert '"train/loss": null' in (tmp_path / "log.jsonl").read_text()


def test_lines_are_on_disk_at_once(tmp_path):
    record = Record(tmp_path)
    record.write(line(1))
    assert (tmp_path / "log.jsonl").read_text().endswith("}\n")
    record.close()


def test_tensorboard_has_the_same_numbers_and_drops_those_of_a_dead_process(tmp_path):
    record = Record(tmp_path)
    record.write(line(1))
    position = record.position()
    record.write(line(2, **{"train/loss": 99.0}))
    record.close()
    resumed = Record(tmp_path, position=position, step=1)
    resumed.write(line(2))
    resumed.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1.0), (2, 0.5)]


def test_without_a_folder_lines_are_kept_in_memory():
    record = Record(None)
    record.write(line(1))
    record.write({"epoch": 2, "step": 2, "step/loss": 1.0})
    assert record.epochs == [line(1)]
    assert record.position() == 0
    record.close()
