"""Dispersion lines against the relations of waves."""

import math

import pytest

from pdesolve.gp.dispersion import dispersion_lines


def test_a_wave_equation_links_its_frequencies_by_the_speed():
    symbol = {(2, 0): 1.0, (0, 2): -4.0}
    found = dispersion_lines(symbol, [(), (3.0,)], 0)
    assert {round(s, 9) for s in found} == {0.0, 6.0}


def test_a_plane_wave_keeps_the_length_of_its_wave_vector():
    k = 5.0
    symbol = {(2, 0): 1.0, (0, 2): 1.0, (0, 0): (2 * math.pi * k) ** 2}
    found = dispersion_lines(symbol, [(3.0,), ()], 1)
    assert any(s == pytest.approx(4.0) for s in found)
    assert any(s == pytest.approx(5.0) for s in found)


def test_diffusion_has_no_real_dispersion_line():
    assert [
        s for s in dispersion_lines({(1, 0): 1.0, (0, 2): -1.0}, [(), (3.0,)], 0) if s > 0
    ] == []
