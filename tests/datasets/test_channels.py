from pdesolve import Grid
from pdesolve.datasets import DatasetSpec, FieldSpec
from pdesolve.datasets.channels import Channel, stored_channels


def test_channels_are_what_stays_and_then_frame_by_frame():
    u, f = FieldSpec("u", "output", time_varying=True, order=1), FieldSpec("f", "input")
    p = FieldSpec("p", "output", time_varying=True)
    c = FieldSpec("c", "constant", sample_varying=False)
    spec = DatasetSpec("s", Grid((4, 3), 1.0, True), (u, p, f, c), times=(0.0, 0.5))
    first = [Channel(u, 0, 0), Channel(u, 0, 1), Channel(p, 0, 0)]
    second = [Channel(u, 1, 0), Channel(u, 1, 1), Channel(p, 1, 0)]
    assert list(stored_channels(spec)) == [Channel(f, 0, 0), *first, *second]
