"""Rows, records and models as a suite would have them, without running anything."""

import pytest

from pdesolve.cli.suites.rows import Row


@pytest.fixture
def row():
    task = {"config": {"dataset": {"name": "darcy", "path": "data/darcy"}, "progress": False}}
    return Row("darcy", "smoke", "mgno", "MgNO", "train", "epochs", 0, task, "da7a", "0.1.0+c0de")


@pytest.fixture
def record(row):
    """Return what is kept of a row, with some of its keys changed."""

    def changed(**changes):
        kept = {"status": "done", "reason": "", "figures": {}, "finished": "2026-01-01"}
        return row.as_json() | kept | changes

    return changed
