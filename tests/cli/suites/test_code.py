from pdesolve import __version__
from pdesolve.cli.suites.code import code_version, sources_hash


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


def test_what_is_no_source_does_not_count(tmp_path):
    (tmp_path / "a.py").write_text("one")
    before = sources_hash(tmp_path)
    (tmp_path / "report.css").write_text("p {}")
    (tmp_path / "a.pyc").write_bytes(b"\0")
    assert sources_hash(tmp_path) == before
