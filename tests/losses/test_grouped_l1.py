import pytest
import torch

from pdesolve.losses import GroupedRelativeL1


def quantities(generator, b=3):
    shape = (b, 4, 5, 6)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize("power", [1, 2])
def test_grouped_l1_is_one_ratio_a_quantity(power, generator):
    prediction, target = quantities(generator)
    expected = []
    for i in range(3):
        for a, b in ((0, 1), (1, 3), (3, 4)):
            error = (prediction[i, a:b] - target[i, a:b]).abs() ** power
            expected.append(error.mean() / (target[i, a:b].abs() ** power).mean())
    loss = GroupedRelativeL1((1, 2, 1), power=power)
    torch.testing.assert_close(loss(prediction, target), torch.stack(expected).mean())


def test_grouped_l1_of_the_batch_is_one_ratio_for_all_samples(generator):
    prediction, target = quantities(generator)
    target = target * torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64).reshape(3, 1, 1, 1)
    expected = [
        (prediction[:, a:b] - target[:, a:b]).abs().mean() / target[:, a:b].abs().mean()
        for a, b in ((0, 3), (3, 4))
    ]
    loss = GroupedRelativeL1((3, 1), reduction="batch")
    torch.testing.assert_close(loss(prediction, target), torch.stack(expected).mean())


def test_grouped_l1_leaves_masked_points_and_quantities_out(generator):
    prediction, target = quantities(generator)
    mask = torch.ones(3, 4, 5, 6)
    mask[:, 3] = 0
    mask[:, :3, 2:] = 0
    prediction[:, 3] = torch.nan
    expected = GroupedRelativeL1((1, 2))(prediction[:, :3, :2], target[:, :3, :2])
    loss = GroupedRelativeL1((1, 2, 1))
    torch.testing.assert_close(loss(prediction, target, mask=mask), expected)
    assert loss.per_group(prediction, target, mask=mask)[:, 2].isnan().all()


def test_the_published_grouped_l1_keeps_masked_targets_in_its_denominators(generator):
    prediction, target = quantities(generator)
    mask = torch.ones(3, 1, 5, 6, dtype=torch.bool)
    mask[:, :, 0] = False
    replaced = torch.where(mask, prediction, target)
    error, size = (replaced - target).abs().mean(), target.abs().mean()
    loss = GroupedRelativeL1((4,), reduction="batch", official=True)
    torch.testing.assert_close(loss(prediction, target, mask=mask), error / (size + 1e-10))


def test_a_quantity_at_rest_counts_by_its_absolute_error(generator):
    prediction, target = quantities(generator)
    target[:, 1:3] = 0
    errors = GroupedRelativeL1((1, 2, 1)).per_group(prediction, target)
    torch.testing.assert_close(errors[:, 1], prediction[:, 1:3].abs().mean((1, 2, 3)))


def test_groups_that_do_not_add_up_are_refused(generator):
    prediction, target = quantities(generator)
    with pytest.raises(ValueError, match=r"groups \(1, 2\) add up to 3, expected the 4 channels"):
        GroupedRelativeL1((1, 2))(prediction, target)
