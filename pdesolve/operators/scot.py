"""scOT: a hierarchical window transformer whose norms know the lead time (Poseidon's backbone)."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..grid import Grid
from ..layers.official_scot import adapt, fill, read_official
from ..layers.swin import ConditionalNorm, Plane, SwinStage
from ..ops import fourier
from ..recorded import recorded

# Standard deviation of initial weights.
INITIAL_STD = 0.02
# Initial factor of a skip block, which begins as the identity.
LAYER_SCALE = 1e-6


@recorded
class ScOT(nn.Module):
    """Map a field of the plane to its state a lead time later.

        v = norm_t(embed(x));   v_i = stage_i(v);   v = norm_t(merge(v_i + v))        i = 0 ... L-1
        v = v_{L-1};            v = expand(stage_i(v + skip_i(v_i)))                  i = L-2 ... 0
        y = mix(recover(v))

    Stages are blocks of cosine attention in windows, every second one shifted; patches of points
    are tokens; `merge` makes one token of four and doubles the channels, `expand` undoes that.
    Everywhere norm_t(v) = a(t) (v - mean v) / sqrt(var v + 1e-5) + b(t) over the channels of a
    token, a and b affine in the condition t: time enters there and nowhere else. The norms come
    behind attention and network, before their sums.

    Names of submodules are those of the published weights, which load as they are.

    Args:
        in_channels, out_channels: channels of x and y.
        width: channels after the embedding, doubled at each level.
        depths: blocks of each level, in the encoder and again in the decoder.
        heads: of each level.
        condition_dim: numbers in the condition, lead time first; 0 takes none.
        domain: grid that the operator works on. Fields on other grids go there and back by
            Fourier resampling, which is meant for periodic ones: others ring at their edges.
            None: works on whatever grid comes, a patch covering `patch` points of it.
        patch: points a side of a token.
        window: tokens a side of an attention window.
        skips: blocks between encoder and decoder at each level but the last.
        skip_block: "convnext" (knows the time) or "resnet" (batch norm, ignores it).
        mlp_ratio: hidden channels of a block's network over its channels.
        residual: add the first out_channels of x to y.
        stochastic_depth: probability by which the last branch is left out in training; it rises
            linearly from 0 over the branches. All published models have 0.
        initial: "unit" begins with a(t) = 1 plus a little noise times t. "official" begins with
            the noise alone, so that at t = 0 nothing of x reaches y.
        resampling: "exact" keeps the highest mode of the smaller grid, "official" halves it.
        time_scale: the lead time is divided by it; good values bring it between 0 and 1.
        default_condition: taken for every number of the condition where none is given, such as
            1 for steady problems; None refuses.
        checkpointing: keep no activations inside blocks, compute them again for the gradient.

    Raises:
        ValueError: sizes that do not fit, with the way out.

    Source: Herde et al. 2024, Poseidon, arXiv:2405.19101, appendix A, and its code, whose outputs
    this reproduces. There the appendix divides by σ² in the norm, the code by σ, as here.
    "official" initial values and resampling are the code's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 48,
        depths: Sequence[int] = (4, 4, 4, 4),
        heads: Sequence[int] = (3, 6, 12, 24),
        *,
        condition_dim: int = 1,
        domain: Grid | None = None,
        patch: int = 4,
        window: int = 16,
        skips: Sequence[int] = (2, 2, 2, 0),
        skip_block: Literal["convnext", "resnet"] = "convnext",
        mlp_ratio: float = 4.0,
        residual: bool = False,
        stochastic_depth: float = 0.0,
        initial: Literal["unit", "official"] = "unit",
        resampling: Literal["exact", "official"] = "exact",
        time_scale: float = 1.0,
        default_condition: float | None = None,
        checkpointing: bool = False,
    ):
        super().__init__()
        _check(depths, heads, skips, domain, in_channels, out_channels, residual=residual)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.condition_dim, self.domain, self.patch = condition_dim, domain, patch
        self.residual, self.resampling = residual, resampling
        self.time_scale, self.default_condition = time_scale, default_condition
        self.checkpointing = checkpointing
        levels = len(depths)
        widths = [width * 2**i for i in range(levels)]
        rates = _rates(stochastic_depth, depths)

        def stage(level: int, *, decoder: bool) -> SwinStage:
            return SwinStage(
                widths[level],
                heads[level],
                rates.pop(0),
                window=window,
                mlp_ratio=mlp_ratio,
                condition_dim=condition_dim,
                decoder=decoder,
                last=level == (0 if decoder else levels - 1),
            )

        def skip(level: int) -> nn.ModuleList:
            args = widths[level], condition_dim
            block = _ConvNeXtBlock if skip_block == "convnext" else _ResNetBlock
            return nn.ModuleList(block(*args) for _ in range(skips[level]))

        self.embeddings = _Embedding(in_channels, width, patch, condition_dim)
        encoder = [stage(level, decoder=False) for level in range(levels)]
        decoder = [stage(level, decoder=True) for level in reversed(range(levels))]
        self.encoder, self.decoder = _Stages(encoder), _Stages(decoder)
        self.residual_blocks = nn.ModuleList(skip(level) for level in range(levels))
        self.patch_recovery = _Recovery(width, out_channels, patch)
        self.apply(_draw)
        if initial == "unit":
            self.apply(_start_at_unit_scale)

    def forward(
        self, x: Float[Tensor, "b c_in *grid"], condition: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, "b c_out *grid"]:
        """Output fields at the points of x.

        Raises:
            ValueError: axes or channels of x are not this operator's, or the condition has another
                number of entries than condition_dim.
        """
        self._check_input(x)
        t = self._time(x, condition)
        given = (x.shape[2], x.shape[3])
        worked = given if self.domain is None else (self.domain.shape[0], self.domain.shape[1])
        field = self._resampled(x, worked)
        y = self.patch_recovery(self._transformed(self.embeddings(field, t), t), worked)
        if self.residual:
            y = y + field[:, : self.out_channels]
        return self._resampled(y, given)

    def _transformed(self, v: Tensor, t: Tensor | None) -> Tensor:
        """Tokens (b, n, m, c) after encoder and decoder."""
        kept: list[Tensor] = []
        for stage, skips in zip(self.encoder, self.residual_blocks, strict=True):
            u = self._through(stage.blocks, v, t)
            kept.append(self._through(skips, u, t))
            v = v if stage.downsample is None else stage.downsample(u + v, t)
        v = kept.pop()
        for stage in self.decoder:
            v = self._through(stage.blocks, v, t)
            if stage.upsample is not None:
                skip = kept.pop()
                v = stage.upsample(v, t, (skip.shape[1], skip.shape[2])) + skip
        return v

    def _through(self, blocks: nn.Module, v: Tensor, t: Tensor | None) -> Tensor:
        again = self.checkpointing and self.training and torch.is_grad_enabled()
        assert isinstance(blocks, nn.ModuleList)
        for block in blocks:
            v = checkpoint(block, v, t, use_reentrant=False) if again else block(v, t)
        return v

    def _time(self, x: Tensor, condition: Tensor | None) -> Tensor | None:
        """The condition (b, p) with the lead time scaled."""
        if condition is None and self.default_condition is not None and self.condition_dim:
            return x.new_full((len(x), self.condition_dim), self.default_condition)
        dim = 0 if condition is None else condition.shape[-1]
        if dim != self.condition_dim:
            raise ValueError(
                f"condition of shape {None if condition is None else tuple(condition.shape)} "
                f"given, expected {self.condition_dim or 'no'} numbers a sample: build ScOT with "
                f"condition_dim={dim}"
                + ("" if dim else ", or with default_condition=1 for steady problems")
            )
        if condition is None:
            return None
        scaled = condition[:, :1] / self.time_scale
        return torch.cat([scaled, condition[:, 1:]], 1).to(x.dtype)

    def _resampled(self, u: Tensor, shape: Plane) -> Tensor:
        if tuple(u.shape[2:]) == shape:
            return u
        # Transforms know no bfloat16.
        fine = u if u.dtype == torch.float64 else u.float()
        exact = self.resampling == "exact"
        return fourier.resample(fine, shape) if exact else _official_resample(fine, shape)

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (batch, {self.in_channels} channels, 2 "
                f"grid axes): build ScOT with the channels of the data, which lie on a plane"
            )

    @classmethod
    def from_official(
        cls,
        source: Path | str | Mapping[str, Tensor],
        *,
        variant: Literal["T", "S", "B", "L"] | None = None,
        in_channels: int | None = None,
        out_channels: int | None = None,
        inputs: Sequence[int | None] | None = None,
        outputs: Sequence[int | None] | None = None,
        **constructor,
    ) -> "ScOT":
        """Return the operator of a published checkpoint.

        Every tensor's name and shape is checked. The published Poseidon weights carry the licence
        CC-BY-NC-4.0 (no commercial use); none is shipped here.

        Args:
            source: folder with config.json and *.safetensors, or the tensors by name.
            variant: size, for tensors that come without config.json.
            in_channels, out_channels: of the data, where they are not the checkpoint's; see
                `adapted`.
            inputs, outputs: see `adapted`.
            constructor: further arguments of ScOT, such as time_scale; they override those of
                config.json. Tensors by name need all that are not the defaults.

        Raises:
            ValueError: a file, tensor or shape that is missing or does not fit, by name.
        """
        arguments, tensors = read_official(source, variant)
        arguments |= {"resampling": "official", **constructor}
        operator = cls(**arguments).to(next(iter(tensors.values())).dtype)
        fill(operator, tensors)
        asked = (
            operator.in_channels if in_channels is None else in_channels,
            operator.out_channels if out_channels is None else out_channels,
        )
        same = asked == (operator.in_channels, operator.out_channels)
        if same and inputs is None and outputs is None:
            return operator
        return operator.adapted(*asked, inputs=inputs, outputs=outputs)

    def adapted(
        self,
        in_channels: int,
        out_channels: int,
        *,
        inputs: Sequence[int | None] | None = None,
        outputs: Sequence[int | None] | None = None,
        **constructor,
    ) -> "ScOT":
        """Return this operator for other channels, with new embedding and recovery around it.

        Channels that it knows are read and written as before. A new input channel begins without
        weight and a new output channel at 0. Where no channel is known the weights are drawn.

        Args:
            in_channels, out_channels: of the new operator.
            inputs, outputs: for each of them the channel here that it is, or None for a new one.
                By default the first ones, as many as both have.
            constructor: other arguments to change that shape no weights, such as time_scale.

        Raises:
            ValueError: numbers that are no channels of this operator.
        """
        arguments: dict[str, Any] = dict(self.constructor_arguments)  # pyright: ignore
        arguments |= {"in_channels": in_channels, "out_channels": out_channels, **constructor}
        # Drawn even where nothing is kept of them: all else is overwritten.
        new = type(self)(**arguments)
        new.load_state_dict(adapt(self.state_dict(), new.state_dict(), inputs, outputs))
        reference = next(self.parameters())
        return new.to(reference.device, reference.dtype).train(self.training)


class _Stages(nn.Module):
    """Stages in the order of their call."""

    def __init__(self, stages: Sequence[SwinStage]):
        super().__init__()
        self.layers = nn.ModuleList(stages)

    def __iter__(self) -> Iterator[SwinStage]:
        for stage in self.layers:
            assert isinstance(stage, SwinStage)
            yield stage


class _Embedding(nn.Module):
    """Patches of a field as tokens."""

    def __init__(self, channels: int, width: int, patch: int, condition_dim: int):
        super().__init__()
        self.patch = patch
        projection = nn.Conv2d(channels, width, patch, patch)
        self.patch_embeddings = nn.Sequential(OrderedDict(projection=projection))
        self.norm = ConditionalNorm(width, condition_dim)

    def forward(self, x: Tensor, t: Tensor | None) -> Tensor:
        x = F.pad(x, (0, -x.shape[3] % self.patch, 0, -x.shape[2] % self.patch))
        return self.norm(self.patch_embeddings(x).permute(0, 2, 3, 1), t)


class _Recovery(nn.Module):
    """A field of tokens; the convolution behind it smooths the seams of the patches."""

    def __init__(self, width: int, channels: int, patch: int):
        super().__init__()
        self.projection = nn.ConvTranspose2d(width, channels, patch, patch)
        self.mixup = nn.Conv2d(channels, channels, 5, padding=2, bias=False)

    def forward(self, v: Tensor, plane: Plane) -> Tensor:
        y = self.projection(v.permute(0, 3, 1, 2))
        return self.mixup(y[:, :, : plane[0], : plane[1]])


class _ConvNeXtBlock(nn.Module):
    """Filter each channel, then a network on each token, scaled by one factor a channel.

    Source: Liu et al. 2022, arXiv:2201.03545.
    """

    def __init__(self, width: int, condition_dim: int):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = ConditionalNorm(width, condition_dim)
        self.pwconv1, self.pwconv2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.weight = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, v: Tensor, t: Tensor | None) -> Tensor:
        u = self.dwconv(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return v + self.weight * self.pwconv2(F.gelu(self.pwconv1(self.norm(u, t))))


class _ResNetBlock(nn.Module):
    """Two convolutions with batch norm beside the identity; the condition is not used."""

    def __init__(self, width: int, condition_dim: int):
        super().__init__()
        del condition_dim
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, v: Tensor, t: Tensor | None) -> Tensor:
        del t
        u = F.leaky_relu(self.bn1(self.conv1(v.permute(0, 3, 1, 2))))
        return v + self.bn2(self.conv2(u)).permute(0, 2, 3, 1)


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _start_at_unit_scale(module: nn.Module) -> None:
    if isinstance(module, ConditionalNorm) and isinstance(module.weight, nn.Linear):
        nn.init.ones_(module.weight.bias)


def _rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Probability of leaving out each block's branches, a list a stage, in the order of calls."""
    order = [*depths, *reversed(depths)]
    count = sum(order)
    rates = iter([last * i / max(count - 1, 1) for i in range(count)])
    return [[next(rates) for _ in range(depth)] for depth in order]


def _official_resample(u: Tensor, shape: Plane) -> Tensor:
    """Cut or pad the centred spectrum, -m/2 without m/2, and take the real part.

    Source: the functions of the published code, where sizes must differ by an even number.
    """
    spectrum = torch.fft.fftshift(torch.fft.fft2(u, norm="forward"), dim=(2, 3))
    for axis, m in zip((2, 3), shape, strict=True):
        n = spectrum.shape[axis]
        before = m // 2 - n // 2
        after = m - n - before
        if m < n:
            spectrum = spectrum.narrow(axis, -before, m)
        else:
            edges = (before, after) if axis == 3 else (0, 0, before, after)
            spectrum = F.pad(spectrum, edges)
    spectrum = torch.fft.ifftshift(spectrum, dim=(2, 3))
    return torch.fft.ifft2(spectrum, norm="forward").real


def _check(
    depths: Sequence[int],
    heads: Sequence[int],
    skips: Sequence[int],
    domain: Grid | None,
    in_channels: int,
    out_channels: int,
    *,
    residual: bool,
) -> None:
    if not len(depths) == len(heads) == len(skips) or not depths:
        raise ValueError(
            f"depths, heads and skips have {len(depths)}, {len(heads)} and {len(skips)} entries, "
            f"expected one for each level in all three"
        )
    if min(in_channels, out_channels) < 1:
        raise ValueError(
            f"in_channels is {in_channels} and out_channels {out_channels}, expected at least 1 of "
            f"each: count those of the data"
        )
    if domain is not None and domain.dims != 2:
        raise ValueError(f"domain has {domain.dims} axes, expected 2: ScOT works on planes")
    if residual and out_channels > in_channels:
        raise ValueError(
            f"residual with {in_channels} input and {out_channels} output channels, expected no "
            f"more outputs than inputs: leave residual out"
        )
