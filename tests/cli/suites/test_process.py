import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pdesolve.cli.failures import Stopped
from pdesolve.cli.suites import process
from pdesolve.cli.suites.process import outcome_of, reason_of


class Program(subprocess.Popen):
    """A few lines of Python, in the words of multiprocessing."""

    def is_alive(self):
        return self.poll() is None

    def join(self, timeout=None):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout)

    @property
    def exitcode(self):
        return self.poll()


def standing_in(monkeypatch, program):
    """Let rows be done by a few lines of Python that find their folder in `folder`."""

    def start(folder, threads):
        del threads
        lines = f"import sys; folder = sys.argv[-1]; {program}"
        with open(folder / "output.txt", "w") as log:
            return Program([sys.executable, "-c", lines, str(folder)], stdout=log, stderr=log)

    monkeypatch.setattr(process, "start", start)


def outcome(row, tmp_path, limit=60.0, stopped=()):
    return outcome_of(row, tmp_path / "run", limit=limit, stopped=stopped)


def test_what_the_process_wrote_is_the_outcome(row, tmp_path, monkeypatch):
    figures = {"figures": {"test/l2": 0.1}, "data": {}}
    standing_in(monkeypatch, f"open(folder + '/result.json', 'w').write('{json.dumps(figures)}')")
    found = outcome(row, tmp_path)
    assert (found["status"], found["reason"]) == ("done", "")
    assert found["figures"] == {"test/l2": 0.1}
    assert json.loads((tmp_path / "run/row.json").read_text())["key"] == row.key


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('width 7 is odd'); sys.exit(2)", "width 7 is odd"),
        ("raise RuntimeError('a bug')", "RuntimeError: a bug"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("sys.exit(3)", "exit code 3 without a word"),
    ],
)
def test_a_failure_has_its_reason(row, tmp_path, monkeypatch, program, reason):
    standing_in(monkeypatch, program)
    found = outcome(row, tmp_path)
    assert (found["status"], found["reason"]) == ("failed", reason)


def test_an_old_result_is_not_taken_for_a_new_one(row, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/result.json").write_text("{}")
    standing_in(monkeypatch, "sys.exit(3)")
    assert outcome(row, tmp_path)["status"] == "failed"


def test_a_row_that_takes_too_long_is_ended(row, tmp_path, monkeypatch):
    standing_in(monkeypatch, "import time; time.sleep(60)")
    found = outcome(row, tmp_path, limit=0.3)
    assert found["reason"] == "took longer than 0.3 s"


def test_a_signal_ends_the_row_and_makes_no_record_of_it(row, tmp_path, monkeypatch):
    standing_in(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(Stopped):
        outcome(row, tmp_path, stopped=[15])


def test_a_row_that_dies_of_the_signal_itself_makes_no_record(row, tmp_path, monkeypatch):
    stopped = []
    standing_in(monkeypatch, "sys.exit(130)")

    def watched(process, *_):
        process.join()
        stopped.append(2)
        return False

    monkeypatch.setattr(process, "_watched", watched)
    with pytest.raises(Stopped):
        outcome(row, tmp_path, stopped=stopped)


def test_the_last_words_are_the_reason(tmp_path):
    log = Path(tmp_path / "output.txt")
    log.write_text("a warning\nthe reason \n\n")
    assert reason_of(1, log) == "the reason"
