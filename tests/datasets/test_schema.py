import h5py
import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import (
    DatasetSpec,
    DatasetWriter,
    FieldSpec,
    SchemaError,
    UnknownFormatError,
    schema,
)


def test_spec_reads_back_equal(kinds, stored):
    with h5py.File(stored) as file:
        assert schema.read_spec(file) == kinds.spec


def test_times_read_back_exactly(tmp_path):
    fields = (FieldSpec("u", "output", time_varying=True),)
    spec = DatasetSpec("t", Grid((3,), 1 / 3, True), fields, times=(0.1, 0.2, 1 / 3))
    with DatasetWriter(tmp_path / "t.h5", spec, 1, provenance={}):
        pass
    with h5py.File(tmp_path / "t.h5.tmp") as file:
        assert schema.read_spec(file) == spec


def test_provenance_reads_back(kinds, stored):
    with h5py.File(stored) as file:
        found = schema.read_provenance(file)
    del found["created_utc"]
    assert found == {"generator": "tests", "generator_version": "1", "config_json": '{"a": [1, 2]}'}


def test_all_mismatches_are_listed_at_once(stored):
    with h5py.File(stored, "r+") as file:
        for place in ("t0_fields/coefficient", "t1_fields/velocity"):
            attributes = dict(file[place].attrs)
            del file[place]
            data = file.create_dataset(place, (7, 3, 3), "f4")
            data.attrs.update(attributes)
        with pytest.raises(SchemaError, match=r"coefficient has shape.*velocity has shape"):
            schema.read_spec(file)


def test_file_of_another_layout_is_told_apart(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tensor"] = np.zeros(3)
        with pytest.raises(UnknownFormatError, match="tensor"):
            schema.read_spec(file)
