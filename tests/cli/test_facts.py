import numpy as np

from pdesolve import Grid
from pdesolve.cli.facts import print_facts
from pdesolve.datasets import DatasetSpec, DatasetWriter, FieldSpec, inspect


def test_what_a_file_holds_is_told_in_lines(tmp_path, capsys):
    grid = Grid((9, 6), (1.0, 2.0), (False, True))
    fields = (FieldSpec("v", "input", order=1), FieldSpec("u", "output", time_varying=True))
    spec = DatasetSpec("a", grid, fields, (0.0, 0.5), "Darcy", {"high": 0.36}, ("viscosity",))
    with DatasetWriter(tmp_path / "a.h5", spec, 7, provenance={"seed": 3}) as writer:
        for index in (0, 1):
            values = {"v": np.ones((9, 6, 2)), "u": np.ones((2, 9, 6))}
            numbers = {"viscosity": 0.1}
            writer.write(index, values, seed=0, parameters=numbers, rejected=index == 1)
    print_facts("a.h5", inspect(tmp_path / "a.h5.tmp"))
    told = capsys.readouterr().out
    for part in (
        "1 of 7 samples",
        "1 rejected",
        "its writer has not finished",
        "viscosity of each sample",
        "9 nodes on 1 x 6 nodes on 2 (periodic)",
        "2, from 0 to 0.5",
        "Darcy(high=0.36)",
        "9 x 6 x 2",
        "seed  3",
    ):
        assert part in told
