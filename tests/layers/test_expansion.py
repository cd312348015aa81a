import pytest
import torch

from pdesolve import Grid
from pdesolve.layers.expansion import box_factor, expansion, fields_of


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("cb", "ct"), [(3, 3), (1, 3), (3, 1)])
def test_sums_over_the_basis_for_each_output_and_frame(cb, ct, shared, device):
    b = torch.randn(2, cb, 4, device=device)
    t = torch.randn(*(() if shared else (2,)), 10, ct, 4, device=device)
    y = expansion(b, t, outputs=3, frames=2)
    assert y.shape == (2, 6, 5)
    for sample, frame, c, n in ((0, 0, 0, 0), (1, 1, 2, 3), (1, 0, 1, 4)):
        functions = t if shared else t[sample]
        value = (b[sample, c % cb] * functions[5 * frame + n, c % ct]).sum()
        torch.testing.assert_close(y[sample, 3 * frame + c, n], value)


def test_channels_are_fields_at_times():
    assert fields_of(6, (0.0, 1.0)) == (3, 2)
    assert fields_of(6, None) == (6, 1)
    with pytest.raises(ValueError, match="out_channels is 5 for 2 times"):
        fields_of(5, (0.0, 1.0))


def test_the_box_factor_is_one_in_the_middle_and_zero_on_walls(device):
    strip = Grid((4, 3), (2.0, 5.0), periodic=(True, False))
    points = torch.tensor([[0.3, 2.5], [0.3, 0.0], [0.3, 5.0], [0.0, 1.25]], device=device)
    expected = torch.tensor([1.0, 0.0, 0.0, 0.75], device=device)
    torch.testing.assert_close(box_factor(points, strip), expected)
