from dataclasses import replace

import h5py
import numpy as np
import pytest

from pdesolve import Grid
from pdesolve.datasets import DatasetWriter, FieldSpec, SchemaError
from pdesolve.datasets.resume import intact_samples


@pytest.fixture
def unfinished(kinds, tmp_path):
    with kinds.begin(tmp_path / "a.h5") as writer:
        for index in (0, 2, 3):
            kinds.put(writer, index, rejected=index == 2)
    return tmp_path / "a.h5.tmp"


def test_written_and_rejected_samples_are_kept(kinds, unfinished):
    with h5py.File(unfinished) as file:
        kept = list(intact_samples(file, kinds.spec))
    assert [(index, status) for index, _, status in kept] == [(0, 1), (2, 2), (3, 1)]
    assert np.array_equal(kept[2][1]["solution"][0], kinds.sample(3)["solution"])


def test_sample_with_another_hash_is_made_again(kinds, unfinished):
    with h5py.File(unfinished, "r+") as file:
        file["t0_fields/solution"][3, 0, 0, 0] += 1
    with kinds.begin(unfinished.with_suffix(""), resume=True) as writer:
        assert writer.written == {0, 2}


def test_torn_chunk_is_made_again(kinds, unfinished):
    with h5py.File(unfinished) as file:
        place = file["t1_fields/velocity"].id.get_chunk_info(0).byte_offset
    content = bytearray(unfinished.read_bytes())
    content[place + 20] ^= 1
    unfinished.write_bytes(content)
    with kinds.begin(unfinished.with_suffix(""), resume=True) as writer:
        assert writer.written == {2, 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"provenance": {"generator": "others"}}, "provenance generator is 'others' here"),
        ({"provenance": {"generator": "tests", "more": 1}}, "provenance more is 1 here"),
        ({"constants": {"distance": np.ones((9, 6))}}, "distance differs"),
        ({"mask": np.ones((9, 6))}, "mask/domain differs"),
        ({"layout": "contiguous"}, "coefficient is contiguous float32 here and chunked"),
        ({"dtype": "float64"}, "coefficient is chunked float64 here"),
    ],
)
def test_other_settings_are_refused(kinds, unfinished, settings, message):
    with pytest.raises(SchemaError, match=message):
        kinds.begin(unfinished.with_suffix(""), resume=True, **settings)
    with kinds.begin(unfinished.with_suffix(""), resume=True) as writer:
        assert writer.written == {0, 2, 3}


@pytest.mark.parametrize(
    ("changes", "samples", "message"),
    [
        ({"equation_parameters": {"high": 1}}, 7, "equation_parameters is"),
        ({"grid": Grid((9, 6), 1.0, True)}, 7, "grid is"),
        ({"parameters": ()}, 7, "parameters is"),
        ({"fields": (FieldSpec("solution", "output", units="km"),)}, 7, "fields is"),
        ({}, 8, "samples is 8 here and 7 there"),
    ],
)
def test_another_spec_is_refused(kinds, unfinished, changes, samples, message):
    spec = replace(kinds.spec, **changes)
    constants = {one.name: kinds.distance for one in spec.fixed}
    with pytest.raises(SchemaError, match=message):
        DatasetWriter(
            unfinished.with_suffix(""),
            spec,
            samples,
            provenance=kinds.provenance,
            constants=constants,
            resume=True,
        )
