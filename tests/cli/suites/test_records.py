import json
from dataclasses import replace

import pytest

from pdesolve.cli.failures import UsageError
from pdesolve.cli.suites.records import Records

DONE = {"status": "done", "reason": "", "figures": {"test/l2": 0.1}, "finished": "2026-01-01"}


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "results")


def test_a_row_is_finished_when_the_same_row_was_done(records, row):
    assert not records.finished(row)
    records.write(row, DONE)
    assert records.finished(row)
    assert not records.finished(replace(row, code="0.1.0+0ther"))


def test_a_failed_row_is_not_finished_and_its_record_is_replaced(records, row):
    records.write(row, DONE | {"status": "failed", "reason": "why"})
    assert not records.finished(row)
    records.write(row, DONE)
    assert len(list(records.folder.iterdir())) == 1


def test_an_older_record_is_kept_and_the_newest_is_told(records, row):
    records.write(row, DONE)
    later = replace(row, code="0.1.0+0ther")
    records.write(later, DONE | {"finished": "2026-02-01", "figures": {"test/l2": 0.2}})
    assert len(list(records.folder.iterdir())) == 2
    assert [r["figures"]["test/l2"] for r in records.of([row])] == [0.2]


def test_records_come_in_the_order_of_the_rows(records, row):
    other = replace(row, model="lsm")
    for one in (row, other):
        records.write(one, DONE)
    absent = replace(row, seed=5)
    assert [r["model"] for r in records.of([other, absent, row])] == ["lsm", "mgno"]


def test_a_record_is_strict_json_and_says_what_was_asked(records, row):
    records.write(row, DONE)
    stored = json.loads(records.path(row).read_text())
    assert stored["key"] == row.key
    assert stored["task"] == row.task
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.write(row, DONE | {"figures": {"radius": float("inf")}})


def test_a_table_is_of_one_set_of_data(records, row):
    records.write(row, DONE)
    other = replace(row, model="lsm", data_hash="0ther")
    records.write(other, DONE | {"finished": "2026-02-01"})
    floor = replace(row, model="script", data_hash="")
    records.write(floor, DONE)
    assert [r["model"] for r in records.told(["mgno", "lsm", "script"])] == ["lsm", "script"]


def test_data_at_hand_decide_which_records_are_told(records, row):
    records.write(row, DONE)
    stranger = replace(row, model="lsm", data_hash="0ther")
    records.write(stranger, DONE | {"finished": "2026-02-01"})
    assert [r["model"] for r in records.told(["mgno", "lsm"], row.data_hash)] == ["mgno"]


def test_seeds_of_an_older_task_are_no_part_of_its_line(records, row):
    config = row.task["config"]
    slow, quick = (row.task | {"config": config | {"lr": lr}} for lr in (1e-3, 1e-2))
    for seed in (0, 1):
        records.write(replace(row, seed=seed, task=slow), DONE)
    moved = quick["config"] | {"dataset": config["dataset"] | {"path": "elsewhere"}}
    for seed, task in enumerate((quick, {"config": moved})):
        records.write(replace(row, seed=seed, task=task), DONE | {"finished": "2026-02-01"})
    assert [r["task"]["config"]["lr"] for r in records.told(["mgno"])] == [1e-2, 1e-2]
    records.write(replace(row, seed=0, code="new", task=slow), DONE | {"finished": "2026-03-01"})
    assert [r["task"]["config"]["lr"] for r in records.told(["mgno"])] == [1e-3]


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_what_is_no_record_is_named(records, row, text):
    records.folder.mkdir()
    (records.folder / "mine.json").write_text(text)
    with pytest.raises(UsageError, match=r"mine\.json is no record"):
        records.told(["mgno"])


def test_rows_of_models_that_are_gone_are_not_told(records, row):
    records.write(row, DONE)
    assert records.told(["lsm"]) == []
