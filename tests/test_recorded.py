from pdesolve.recorded import recorded


@recorded
class Wave:
    def __init__(self, speed, *, damping=0.5):
        self.speed = speed


def test_defaults_are_written_out():
    assert Wave(2).constructor_arguments == {"speed": 2, "damping": 0.5}


def test_the_constructor_still_runs():
    assert Wave(speed=3).speed == 3
