import json

import numpy as np
import pytest

from pdesolve.datasets import MissingFileError, inspect, verify, write_manifest


def test_inspect_tells_schema_statistics_and_provenance(kinds, stored):
    facts = json.loads(json.dumps(inspect(stored)))
    assert (facts["samples"], facts["written"], facts["rejected"]) == (7, 7, 0)
    assert facts["fields"]["velocity"]["units"] == "m/s"
    assert facts["fields"]["velocity"]["shape"] == [9, 6, 2]
    mean = np.mean([kinds.sample(i)["coefficient"].astype("f8") for i in range(7)])
    assert facts["fields"]["coefficient"]["statistics"]["mean"] == pytest.approx(mean, rel=1e-12)
    assert facts["provenance"]["generator"] == "tests"
    assert facts["data_hash"] == verify(stored).data_hash


def test_inspect_of_a_folder_tells_of_the_set(kinds, tmp_path):
    kinds.write_all(tmp_path / "data/train/a.h5")
    kinds.write_all(tmp_path / "data/train/b.h5")
    facts = json.loads(json.dumps(inspect(tmp_path)))
    assert facts["splits"]["train"]["files"] == 2
    assert facts["splits"]["train"]["written"] == 14
    assert facts["data_hash"] == ""
    assert facts["fields"]["velocity"]["units"] == "m/s"
    write_manifest(tmp_path)
    assert len(inspect(tmp_path)["data_hash"]) == 64


def test_inspect_of_a_folder_without_files_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="no data/SPLIT"):
        inspect(tmp_path)
