import pytest
import torch
import torch.nn.functional as F

from pdesolve.layers.latent_unet import LatentUNet


def body(**options):
    torch.manual_seed(0)
    return LatentUNet(4, **{"dims": 2, "scales": 3, "heads": 2, **options})


@pytest.mark.parametrize(
    ("shape", "patch"), [((16,), (2,)), ((12, 8), (3, 1)), ((8, 4, 4), (1, 1, 1))]
)
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_field_keeps_its_shape(shape, patch, norm, device):
    model = body(dims=len(shape), norm=norm).to(device)
    x = torch.randn(2, 4, *shape, device=device)
    assert model(x, patch).shape == x.shape


def test_two_scales_are_pooled_joined_and_mapped():
    model = body(scales=2).double().eval()
    x = torch.randn(1, 4, 4, 6, dtype=torch.float64)
    fine = model.encoder[0](x)
    coarse = model.encoder[1](F.avg_pool2d(fine, 2) * 0 + F.max_pool2d(fine, 2))
    up = F.interpolate(model.blocks[1](coarse, (2, 1)), size=(4, 6), mode="bilinear",
                       align_corners=True)  # fmt: skip
    z = model.decoder[0](torch.cat([model.blocks[0](fine, (2, 1)), up], 1))
    torch.testing.assert_close(model(x, (2, 1)), model.last(z), rtol=1e-12, atol=1e-12)


def test_cells_that_are_pooled_are_interpolated_as_cells():
    model = body(align_corners=False)
    z = torch.randn(1, 1, 3, 3)
    expected = F.interpolate(z, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(model._doubled(z), expected)


def test_samples_are_independent_under_instance_norm():
    model = body(norm="instance").double()
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(model(x, (1, 1))[1:2], model(x[1:2], (1, 1)), rtol=0, atol=1e-12)


def test_statistics_of_one_number_are_refused():
    x = torch.ones(1, 4, 4, 4)
    with pytest.raises(ValueError, match="one point on the coarsest of 3 scales"):
        body(norm="instance").eval()(x, (1, 1))
    with pytest.raises(ValueError, match="one point on the coarsest of 3 scales"):
        body()(x, (1, 1))
    assert body().eval()(x, (1, 1)).shape == x.shape
