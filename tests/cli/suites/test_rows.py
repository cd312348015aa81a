from dataclasses import replace

import pytest


@pytest.mark.parametrize(
    "change",
    [
        {"code": "0.1.0+0ther"},
        {"data_hash": "0ther"},
        {"threads": 2},
        {"kind": "cost"},
        {"seed": 1},
        {"task": {"config": {"dataset": {"name": "darcy", "stride": 2}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_changes_with_all_that_a_figure_depends_on(row, change):
    assert replace(row, **change).key != row.key


def test_the_key_does_not_depend_on_where_files_lie_nor_on_what_is_shown(row):
    config = {"dataset": {"name": "darcy", "path": "/elsewhere"}, "progress": True, "allow": ["me"]}
    moved = replace(row, task={"config": config}, label="another name", suite="mine", size="mine")
    assert moved.key == row.key


def test_a_path_of_an_operator_changes_the_key(row):
    keys = {
        replace(row, task={"config": {"operator": {"path": path}}}).key for path in ("a.pt", "b.pt")
    }
    assert len(keys) == 2


def test_names_of_seeds_and_variants_differ(row):
    names = {replace(row, seed=s, variant=v).name for s in (0, 1) for v in ("epochs", "seconds")}
    assert len(names) == 4
