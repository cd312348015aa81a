import signal

import pytest

from pdesolve.cli.signals import stopping


def test_signal_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with stopping() as received:
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_interrupt_stops_at_once():
    with stopping():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
