"""Every source file has its tests where a reader looks for them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The command line is tested as its user meets it, verb by verb; these hold nothing to test.
EXEMPT = {"__init__.py", "__main__.py", "version.py"}


def test_every_source_file_has_a_test_file_of_its_name():
    sources = [p for p in (ROOT / "pdesolve").rglob("*.py") if p.name not in EXEMPT]
    missing = [
        str(source.relative_to(ROOT))
        for source in sources
        if not mirror(source.relative_to(ROOT / "pdesolve")).is_file()
    ]
    assert not missing, f"no test file for {missing}"


def mirror(source: Path) -> Path:
    return ROOT / "tests" / source.parent / f"test_{source.name}"
