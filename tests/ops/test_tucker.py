import math

import pytest
import torch

from pdesolve.ops import tucker


@pytest.mark.parametrize("ranks", [(3,), (4, 2), (5, 5, 3, 2)])
def test_component_std_gives_products_of_the_wanted_variance(ranks):
    s = tucker.component_std(0.3, ranks)
    # An entry is a sum of Π r products of N + 1 independent numbers of variance s².
    assert math.prod(ranks) * s ** (2 * (len(ranks) + 1)) == pytest.approx(0.3**2, rel=1e-12)


def test_expand_with_all_factors_is_the_sum_over_the_core(device, generator):
    complex_normal = {"dtype": torch.complex128, "generator": generator}
    core = torch.randn(2, 3, 4, **complex_normal).to(device)
    factors = [torch.randn(5, 2), torch.randn(6, 3), torch.randn(7, 4)]
    factors = [torch.randn(f.shape, **complex_normal).to(device) for f in factors]
    dense = torch.einsum("abc,ia,jb,kc->ijk", core, *factors)
    torch.testing.assert_close(tucker.expand(core, factors), dense, rtol=1e-12, atol=1e-12)


def test_expand_leaves_the_remaining_axes_in_rank_space(generator):
    core = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    factors = [torch.randn(6, 2, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)]
    expected = torch.einsum("abrs,ia,jb->ijrs", core, *factors)
    torch.testing.assert_close(tucker.expand(core, factors), expected, rtol=1e-12, atol=1e-12)
