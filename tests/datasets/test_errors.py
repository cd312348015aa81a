import pickle

import pytest

from pdesolve.datasets import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.DataError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_message_names_file_place_found_allowed_and_advice(kind):
    error = kind("9 rows", file="a.h5", place="/x", allowed="8", advice="delete one")
    assert str(error) == "a.h5: /x: 9 rows, expected 8: delete one"
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("kind", KINDS)
def test_error_survives_a_worker_process(kind):
    error = pickle.loads(pickle.dumps(kind("9 rows", file="a.h5", place="/x")))
    assert (type(error), str(error), error.place) == (kind, "a.h5: /x: 9 rows", "/x")


def test_missing_file_is_a_file_not_found_error():
    assert issubclass(errors.MissingFileError, FileNotFoundError)
    assert issubclass(errors.ExistingFileError, FileExistsError)
