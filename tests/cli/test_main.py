import pytest

from pdesolve import __version__


def test_no_verb_shows_the_usage(pdesolve):
    assert pdesolve().code == 2
    shown = pdesolve("--help")
    assert shown.code == 0
    assert "train" in shown.out


def test_version(pdesolve):
    assert pdesolve("--version").out.strip() == __version__


def test_an_unknown_verb_names_the_nearest(pdesolve):
    done = pdesolve("trian")
    assert done.code == 2
    assert "did you mean train?" in done.err


@pytest.mark.parametrize("verb", ["train", "generate", "evaluate", "predict", "solve", "export"])
def test_help_lists_groups_and_config(pdesolve, verb):
    with pytest.raises(SystemExit) as left:
        pdesolve(verb, "--help")
    assert left.value.code in (0, None)
