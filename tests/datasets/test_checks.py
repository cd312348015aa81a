from pathlib import Path

import numpy as np
import pytest

from pdesolve.datasets import NonFiniteError, SchemaError
from pdesolve.datasets.checks import (
    matched_fields,
    matched_mask,
    matched_parameters,
    require_finite,
)

FILE = Path("a.h5")


def matched(kinds, fields):
    spec = kinds.spec
    return matched_fields(spec, spec.varying, fields, dtype=np.dtype("<f4"), file=FILE)


def test_fields_come_in_order_with_dtype_and_time(kinds):
    arrays = matched(kinds, kinds.sample(0))
    assert list(arrays) == ["coefficient", "solution", "velocity"]
    assert arrays["solution"].shape == (1, 9, 6)
    assert arrays["velocity"].dtype == np.dtype("<f4")


def test_all_wrong_fields_are_listed(kinds):
    fields = kinds.sample(0) | {"solution": np.zeros((9, 7)), "pressure": np.zeros(3)}
    del fields["velocity"]
    with pytest.raises(SchemaError) as raised:
        matched(kinds, fields)
    for part in ("no field 'velocity'", "unknown field 'pressure'", "(9, 7), expected (1, 9, 6)"):
        assert part in str(raised.value)


def test_parameters_are_named(kinds):
    assert matched_parameters(kinds.spec, {"viscosity": 2}, file=FILE).tolist() == [2.0]
    with pytest.raises(SchemaError, match=r"\['nu'\], expected \['viscosity'\]"):
        matched_parameters(kinds.spec, {"nu": 2}, file=FILE)


@pytest.mark.parametrize("shape", [(9, 6), (7, 9, 6)])
def test_mask_is_for_all_or_for_each(kinds, shape):
    assert matched_mask(kinds.spec, 7, np.ones(shape), file=FILE).shape == shape


@pytest.mark.parametrize("mask", [np.ones((9, 7)), np.ones((6, 9, 6)), np.zeros((9, 6))])
def test_other_masks_are_refused(kinds, mask):
    with pytest.raises(SchemaError, match="mask"):
        matched_mask(kinds.spec, 7, mask, file=FILE)


def test_nan_is_counted():
    values = np.array([1.0, np.nan, np.inf])
    with pytest.raises(NonFiniteError, match=r"u: 2 of 3 values of sample 4"):
        require_finite({"u": values}, file=FILE, sample="sample 4")
