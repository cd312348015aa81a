from pdesolve import __version__
from pdesolve.cli.suites.code import code_of, code_version, sources_hash


def test_the_code_version_names_the_package_version():
    version, _, digits = code_version().partition("+")
    assert version == __version__
    assert len(digits) == 12


def test_the_hash_changes_with_a_byte_a_name_and_a_place(tmp_path):
    package = tmp_path / "package"
    (package / "room").mkdir(parents=True)
    (package / "a.py").write_text("one")
    seen = {sources_hash(package)}
    (package / "a.py").write_text("two")
    seen.add(sources_hash(package))
    (package / "a.py").rename(package / "b.py")
    seen.add(sources_hash(package))
    (package / "b.py").rename(package / "room" / "b.py")
    seen.add(sources_hash(package))
    assert len(seen) == 4


def test_the_code_of_a_task_names_the_users_packages_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "whole_of_mine").mkdir()
    (tmp_path / "whole_of_mine/__init__.py").write_text("a = 1")
    (tmp_path / "part_of_mine.py").write_text("b = 1")
    task = {"config": {"operator": {"_target_": "whole_of_mine.Mine", "width": 4}}}
    deep = {"config": {"operator": [{"part": {"_target_": "part_of_mine.Mine"}}]}}
    allow = ["whole_of_mine", "part_of_mine", "absent"]
    version, _, own = code_of(task, allow).partition(" whole_of_mine+")
    assert version == code_version()
    assert own == sources_hash(tmp_path / "whole_of_mine")[:12]
    assert " part_of_mine+" in code_of(deep, allow)
    assert code_of(task, []) == code_version()
    other = {"config": {"operator": {"_target_": "absent.Mine"}}}
    assert code_of(other, allow) == f"{code_version()} absent+"


def test_what_is_no_source_does_not_count(tmp_path):
    (tmp_path / "a.py").write_text("one")
    before = sources_hash(tmp_path)
    (tmp_path / "report.css").write_text("p {}")
    (tmp_path / "a.pyc").write_bytes(b"\0")
    assert sources_hash(tmp_path) == before
