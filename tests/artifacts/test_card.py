import pytest

from pdesolve.artifacts.card import model_card

METADATA = {"pdesolve_version": "1.2.3", "parameters": 72417}


def test_card_names_model_size_and_all_that_was_noted():
    config = {"class": "Normalized", "arguments": {"operator": {"class": "TFNO", "arguments": {}}}}
    card = model_card(config, METADATA | {"units": {"u": "m"}, "note": "a|b"})
    assert card.startswith("# Normalized(TFNO)\n")
    assert "72,417 parameters" in card
    assert '| units | {"u": "m"} |' in card
    # A bar would end the table's cell.
    assert "| note | a\\|b |" in card
    assert 'pdesolve.load(".")' in card


@pytest.mark.parametrize(
    "config",
    [
        {"foreign": "package.module.Net"},
        {"class": "Normalized", "arguments": {"operator": {"foreign": "package.module.Net"}}},
    ],
)
def test_card_of_a_foreign_model_says_that_load_needs_the_built_one(config):
    card = model_card(config, METADATA)
    assert "Net" in card.splitlines()[0]
    assert 'pdesolve.load(".", model)' in card
