import pytest

from pdesolve.training import Settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"accumulate": -1}, "accumulate is -1"),
        ({"patience": 0}, "patience is 0"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
    ],
)
def test_values_outside_their_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)
