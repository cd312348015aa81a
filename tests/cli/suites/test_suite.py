import pytest

from pdesolve.cli.failures import UsageError
from pdesolve.cli.suites.suite import read_suite

GOOD = "label: mine\noperator: tfno\n"


def read(folder, text, name="mine"):
    (folder / f"{name}.yaml").write_text(text)
    return read_suite("darcy", "smoke", str(folder)).models[-1]


def test_a_model_has_the_overrides_of_its_place(tmp_path):
    own = {"all": 1, "darcy/smoke": 2, "darcy/smoke/seconds": 3}
    lines = "".join(f"  {place}: [optimizer.lr={rate}]\n" for place, rate in own.items())
    model = read(tmp_path, GOOD + "overrides:\n" + lines + "  cpu: [operator.a=3]\n")
    assert model.overrides_for("darcy", "smoke") == ["optimizer.lr=2"]
    assert model.overrides_for("darcy", "smoke", "seconds") == ["optimizer.lr=3"]
    assert model.overrides_for("darcy", "cpu") == ["optimizer.lr=1", "operator.a=3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it holds NoneType"),
        ("- a\n", "it holds list"),
        ("label: [\n", "not YAML"),
        ("label: mine\n", "operator"),
        (GOOD + "colour: red\n", "colour"),
        ("label: mine\noperator: {width: 4}\n", "a mapping with _target_"),
        (GOOD + "suites: a_darcy_string\n", "expected a list of some of darcy"),
        (GOOD + "overrides: [optimizer.lr=1]\n", "overrides"),
        (GOOD + "overrides: {all: optimizer.lr=1}\n", "expected a list of KEY=VALUE"),
        (GOOD + "overrides: {smokee: [optimizer.lr=1]}\n", "'smokee', expected all, a size"),
        (GOOD + "overrides: {all: [dataset.train_samples=4]}\n", "the same for all models"),
        (GOOD + "published: [{value: 1}]\n", "expected quantity, setting"),
    ],
)
def test_a_file_that_describes_no_model_is_refused(tmp_path, text, words):
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert "mine.yaml does not describe a model" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["tfno", "training_mean"])
def test_a_name_that_is_taken_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=f"two models or floors are named '{name}'"):
        read(tmp_path, GOOD, name)
