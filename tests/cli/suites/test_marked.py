import pytest

from pdesolve.cli.failures import UsageError
from pdesolve.cli.suites.marked import markers, replace_marked

FIRST, LAST = markers("darcy cpu")


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{FIRST}\nold\n{LAST}\nafter\n")
    assert replace_marked(path, "darcy cpu", "new\n")
    assert path.read_text() == f"before\n{FIRST}\nnew\n{LAST}\nafter\n"


def test_a_file_without_the_markers_stays_as_it_is(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("by hand\n")
    assert not replace_marked(path, "darcy cpu", "new")
    assert not replace_marked(tmp_path / "absent.md", "darcy cpu", "new")
    assert path.read_text() == "by hand\n"


@pytest.mark.parametrize("text", [FIRST, LAST, f"{LAST}\n{FIRST}"])
def test_half_of_the_markers_are_refused(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(UsageError, match="has not both markers"):
        replace_marked(path, "darcy cpu", "new")
