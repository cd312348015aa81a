"""One row per operator: how to build a tiny one and what to feed it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from pdesolve import Grid
from pdesolve.operators import (
    LSM,
    MGTFNO,
    STFNO,
    TFNO,
    DeepONet,
    MgNO,
    MIONet,
    MultiTaskDeepONet,
    PODDeepONet,
    ScOT,
)


@dataclass(frozen=True)
class Case:
    """A tiny operator for the contract tests.

    Args:
        name: shown in the test's name.
        build: makes the operator, drawing from torch's random numbers.
        in_channels: channels of its input.
        out_channels: channels of its output.
        shapes: grids that it must take; the first is the usual one, one is not square.
        condition_dim: parameters of a sample that it takes; 0: it must refuse a condition.
    """

    name: str
    build: Callable[[], nn.Module]
    in_channels: int
    out_channels: int
    shapes: tuple[tuple[int, ...], ...]
    condition_dim: int = 0


def fitted_pod():
    model = PODDeepONet(2, 1, domain=CELLS, basis=3, branch=(8,), trunk=(8,), trunk_basis=2)
    model.fit_modes([torch.randn(5, 1, 6, 4)])
    return model


CELLS = Grid((6, 4), 1.0, periodic=False, placement="cell")
WALLS = Grid((12, 12), (1.0, 2.0), periodic=False, offset=0.01)
PLANE = Case(
    name="TFNO dense",
    build=lambda: TFNO(2, 1, (6, 6), 6, 2),
    in_channels=2,
    out_channels=1,
    shapes=((12, 12), (9, 14), (5, 4)),
)

CASES = (
    PLANE,
    replace(
        PLANE,
        name="TFNO Tucker in a box",
        build=lambda: TFNO(
            2, 1, (6, 6), 6, 2, 0.2, domain=WALLS, wall_factor=True, domain_padding=(0.2, 0.1),
            norm="layer", preactivation=True,
        ),
    ),
    Case(
        name="TFNO line",
        build=lambda: TFNO(1, 2, (8,), 6, 2, 0.3, skip="soft-gating", norm="instance"),
        in_channels=1,
        out_channels=2,
        shapes=((16,), (9,), (6,)),
    ),
    Case(
        name="TFNO space",
        build=lambda: TFNO(
            1, 1, (4, 4, 4), 4, 2, 0.5, separable=True, mlp_expansion=0.0, factorization="cp",
            joint=True,
        ),
        in_channels=1,
        out_channels=1,
        shapes=((6, 6, 6), (5, 7, 4)),
    ),
    Case(
        name="MGTFNO plane",
        build=lambda: MGTFNO(2, 1, (4, 4), 6, 2, 0.2, levels=1, padding=(0.1, 0.0)),
        in_channels=2,
        out_channels=1,
        shapes=((12, 12), (10, 14)),
    ),
    Case(
        name="MGTFNO line in chunks",
        build=lambda: MGTFNO(
            1, 2, (4,), 6, 2, levels=1, padding=0.1, boundary="replicate", patch_chunk=3,
            domain=Grid((16,), 1.0, periodic=False), wall_factor=True,
        ),
        in_channels=1,
        out_channels=2,
        shapes=((16,), (20,)),
    ),
    Case(
        name="DeepONet",
        build=lambda: DeepONet(
            2, 6, domain=CELLS, basis=4, branch=(8,), trunk=(8,), times=(0.0, 0.5, 1.0),
            strategy="split_both", fourier_features=3, boundary="zero",
        ),
        in_channels=2,
        out_channels=6,
        shapes=((6, 4),),
    ),
    Case(
        name="DeepONet stacked line",
        build=lambda: DeepONet(
            1, 2, domain=Grid((9,), 1.0, periodic=True), basis=4, branch=(8,), trunk=(8,),
            stacked=True, condition_dim=2,
        ),
        in_channels=1,
        out_channels=2,
        shapes=((9,),),
        condition_dim=2,
    ),
    Case(
        name="PODDeepONet",
        build=fitted_pod,
        in_channels=2,
        out_channels=1,
        shapes=((6, 4),),
    ),
    Case(
        name="MIONet",
        build=lambda: MIONet(
            2, 1, domain=CELLS, basis=4, branch=(8,), trunk=(8,), filters=(3,), condition_dim=1,
        ),
        in_channels=2,
        out_channels=1,
        shapes=((6, 4),),
        condition_dim=1,
    ),
    Case(
        name="MultiTaskDeepONet",
        build=lambda: MultiTaskDeepONet(
            2, 2, domain=CELLS, basis=4, branch=(8,), trunk=(8, 8, 8), condition_dim=2,
            mask_channel=1, times=(0.0, 1.0), skips=True, norm=("layer", "batch"),
        ),
        in_channels=2,
        out_channels=2,
        shapes=((6, 4),),
        condition_dim=2,
    ),
    Case(
        name="MgNO plane",
        build=lambda: MgNO(
            2, 1, 3, 2, ((1, 0), (1, 1), (2, 0)), boundary=("neumann_node", "periodic"),
            bias=True, norm="layer", residual=True, head="network", restrict_residual=True,
        ),
        in_channels=2,
        out_channels=1,
        shapes=((16, 16), (9, 14), (5, 4)),
    ),
    Case(
        name="MgNO space",
        build=lambda: MgNO(
            1, 2, 3, 2, ((1, 0), (2, 0)), dims=3, share="operator", growth=True, head="cycle"
        ),
        in_channels=1,
        out_channels=2,
        shapes=((6, 6, 6), (5, 7, 4)),
    ),
    Case(
        name="ScOT",
        build=lambda: ScOT(
            2, 1, 12, (2, 2), (3, 6), skips=(1, 0), patch=2, window=4, initial="official",
        ),
        in_channels=2,
        out_channels=1,
        shapes=((16, 16), (10, 14), (9, 7)),
        condition_dim=1,
    ),
    Case(
        name="STFNO",
        build=lambda: STFNO(6, 4, (4, 6, 6), 6, fields=2, latent_steps=3, layers=2),
        in_channels=6,
        out_channels=4,
        shapes=((12, 12), (9, 14), (5, 4)),
    ),
    Case(
        name="STFNO line",
        build=lambda: STFNO(
            2, 3, (6, 8), 4, layers=1, positions="products", last_modes="full",
            domain=Grid((12,), 1.0, periodic=True),
        ),
        in_channels=2,
        out_channels=3,
        shapes=((12,), (9,), (16,)),
    ),
    Case(
        name="LSM plane",
        build=lambda: LSM(2, 1, 4, heads=2, scales=3, norm="instance", drop_dead_sine=True),
        in_channels=2,
        out_channels=1,
        shapes=((12, 12), (9, 14), (5, 8)),
    ),
    Case(
        name="LSM space",
        build=lambda: LSM(
            1, 2, 4, dims=3, heads=2, scales=2, patch=(1, 2, 1), spread_tokens=True,
            padding_mode="replicate", align_corners=False,
        ),
        in_channels=1,
        out_channels=2,
        shapes=((4, 4, 4), (5, 7, 4)),
    ),
    Case(
        name="LSM frames",
        build=lambda: LSM(
            1, 4, 4, frames=2, heads=2, scales=2, norm="instance", drop_dead_sine=True
        ),
        in_channels=1,
        out_channels=4,
        shapes=((6, 8), (5, 7), (4, 4)),
    ),
)  # fmt: skip
