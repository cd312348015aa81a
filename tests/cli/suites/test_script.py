import json

import pytest

from pdesolve.cli.configs import config_folder
from pdesolve.cli.failures import Skipped, UsageError
from pdesolve.cli.suites import script
from pdesolve.cli.suites.suite import read_suite

RESULTS = config_folder().parent / "benchmarks/results"
SCRIPTS = read_suite("speed", "cpu").plan["scripts"]

WRITES = """\
import json, sys
out = sys.argv[sys.argv.index("--out") + 1]
open(out, "w").write(json.dumps({result}))
"""


def run(tmp_path, monkeypatch, source):
    (tmp_path / "benchmarks/speed").mkdir(parents=True)
    (tmp_path / "benchmarks/speed/mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    return script.figures({"script": "speed/mine.py", "arguments": ["--rounds", "2"]}, 0, tmp_path)


def test_ratios_come_with_their_quartiles_at_any_depth(tmp_path, monkeypatch):
    rows = {"solve": {"ratio_median": 3.0, "ratio_quartiles": [2.5, 3.5], "seconds": [1, 2]}}
    result = {"what": "theirs / ours", "results": [rows]}
    found = run(tmp_path, monkeypatch, WRITES.format(result=result))["figures"]
    place = "results 0 solve ratio"
    assert found == {
        "what": "theirs / ours", place: 3.0, f"{place}/low": 2.5, f"{place}/high": 3.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print('no peer')", "no peer"),
        (WRITES.format(result={"rows": {"lsm": {"skipped": "no peer"}}}), "no peer"),
    ],
)
def test_a_script_without_its_peer_is_skipped_with_the_reason(
    tmp_path, monkeypatch, source, reason
):
    with pytest.raises(Skipped, match=reason):
        run(tmp_path, monkeypatch, source)


def test_a_script_that_fails_says_so_in_its_own_words(tmp_path, monkeypatch):
    with pytest.raises(ArithmeticError, match="ValueError: odd"):
        run(tmp_path, monkeypatch, "raise ValueError('odd')")


def test_a_script_that_is_not_there_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        script.figures({"script": "speed/none.py", "arguments": []}, 0, tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_ratios_in_the_record_of_every_script_are_found(name):
    records = (RESULTS / f"{name}_speed.json", RESULTS / f"{name}.json")
    record = next(one for one in records if one.is_file())
    assert dict(script.ratios(json.loads(record.read_text())))
