import dataclasses

import pytest

from pdesolve.cli.failures import UsageError
from pdesolve.cli.suites.plan import of_variants


def test_rates_are_searched_only_where_they_are_asked_for(row):
    kinds = ("epochs", "rate=0.01", "rate=0.1", "seconds_rate=0.1")
    rows = [dataclasses.replace(row, variant=kind) for kind in kinds]
    assert of_variants(rows, []) == rows[:1]
    assert of_variants(rows, ["rates"]) == rows[1:3]
    assert of_variants(rows, ["seconds_rates"]) == rows[3:]
    with pytest.raises(UsageError, match=r"expected some of epochs, rates, seconds_rates$"):
        of_variants(rows, ["rate"])
