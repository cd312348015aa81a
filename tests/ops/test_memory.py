import pytest
import torch

from pdesolve.ops.memory import is_channels_last, to_channels_last

SHAPES = pytest.mark.parametrize("shape", [(2, 3, 5), (1, 2, 4, 7), (2, 1, 3, 5), (2, 3, 2, 5, 3)])


@SHAPES
def test_converted_fields_are_equal_and_channels_last(shape, device, generator):
    x = torch.randn(shape, generator=generator).to(device)
    y = to_channels_last(x)
    assert torch.equal(x, y)
    assert not is_channels_last(x)
    assert is_channels_last(y)
    assert y.movedim(1, -1).is_contiguous()


@pytest.mark.parametrize("shape", [(2, 3, 4, 7), (2, 3, 2, 5, 3)])
def test_torchs_own_channels_last_is_recognised(shape):
    memory_format = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    assert is_channels_last(torch.ones(shape).to(memory_format=memory_format))


def test_a_part_of_the_grid_has_the_format_of_the_whole():
    x = torch.ones(2, 3, 4, 4)
    assert is_channels_last(to_channels_last(x)[..., 1:, ::2])
    assert not is_channels_last(x[..., 1:, ::2])


def test_a_converted_field_is_not_copied_again():
    x = to_channels_last(torch.ones(2, 3, 4, 4))
    assert to_channels_last(x).data_ptr() == x.data_ptr()
