import pytest

from pdesolve.cli.configs import completed, config_folder
from pdesolve.cli.failures import UsageError


def test_the_checkouts_configs_are_found():
    assert (config_folder() / "train.yaml").is_file()


def test_known_overrides_pass_unchanged():
    overrides = ["experiment=darcy/demo", "operator.width=8,16", "+trainer.extra=1", "seed.init=1"]
    assert completed("train", overrides) == overrides


def test_an_argument_left_at_its_default_is_added():
    assert completed("train", ["trainer.clip_norm=1.0"]) == ["+trainer.clip_norm=1.0"]
    assert completed("train", ["operator.norm=layer"]) == ["+operator.norm=layer"]


def test_what_a_dataset_need_not_say_can_be_added():
    given = ["experiment=poseidon/ace", "dataset.train_samples=4"]
    assert completed("train", given) == [given[0], "+dataset.train_samples=4"]


def test_a_key_can_be_taken_away():
    overrides = ["experiment=poseidon/ace", "~operator.inputs", "~operator.outputs"]
    assert completed("train", overrides) == overrides


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("operator.widht=3", "did you mean operator.width"),
        ("tariner.epochs=3", "did you mean trainer.epochs"),
        ("trainer.epoch=3", "did you mean trainer.epochs"),
        ("operater=tfno", "did you mean operator"),
        ("operator=tnfo", "did you mean tfno"),
        ("experiment=darcy/dmo", "did you mean darcy/demo"),
        ("operator.width", "write operator.width=VALUE"),
    ],
)
def test_an_unknown_override_names_the_nearest(override, message):
    with pytest.raises(UsageError, match=message):
        completed("train", [override])
