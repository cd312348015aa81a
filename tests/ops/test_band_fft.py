import pytest
import torch

from pdesolve.ops import band_fft, band_matmul
from pdesolve.ops.memory import is_channels_last, to_channels_last


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("grid", "modes"), [((9,), (6,)), ((8, 7), (5, 6)), ((5, 6, 4), (4, 4, 3))]
)
def test_it_is_the_same_pair_of_maps_as_by_matrices(grid, modes, channels_last, device, generator):
    x = torch.randn(2, 3, *grid, generator=generator, dtype=torch.float64).to(device)
    x = to_channels_last(x) if channels_last else x
    constant = torch.randn(3, generator=generator, dtype=torch.float64).to(device)
    shape = [n + 1 for n in grid]
    fields = []
    for by in (band_fft, band_matmul):
        parts = by.lowest_modes(x, modes)
        fields.append(
            by.field_of_modes(
                parts, modes, grid, shape, constant=constant, channels_last=channels_last
            )
        )
    torch.testing.assert_close(*fields, rtol=1e-12, atol=1e-12)
    assert [is_channels_last(field) for field in fields] == [channels_last] * 2
