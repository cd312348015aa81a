"""Optimisers as values: each is called with a model and returns a torch optimiser for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from .adamw import JointMomentAdamW
from .muon import OrthogonalMomentum, is_matrix
from .pairs import complex_pairs, trainable

MakeOptimizer = Callable[[nn.Module], Optimizer]


@dataclass(frozen=True)
class Adam:
    """Adam whose weight decay is part of the gradient (Kingma and Ba 2015, arXiv:1412.6980).

    Most published operators were trained by it. Where they minimise the sum of the losses of a
    batch, decay λ there is λ / batch size with the mean losses here.

    Args:
        lr: learning rate.
        weight_decay: λ; the gradient of λ/2 ‖weights‖² is added to that of the loss.
        betas: decay of the first and of the second moment.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of all parameters of the model."""
        parameters = trainable(model)
        fused = not any(p.is_complex() for p in parameters)
        return torch.optim.Adam(
            parameters, lr=self.lr, weight_decay=self.weight_decay, betas=self.betas, fused=fused
        )


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        lr: learning rate; small operators on small grids take 1e-2, large ones 1e-3 to 1e-4.
        weight_decay: each step multiplies the weights by 1 - lr * weight_decay.
        betas: decay of the first and of the second moment.
        complex_moment: "separate" second moments for real and imaginary parts (torch's), or one
            "joint" moment of |g|² for each complex number (neuraloperator's).
    """

    lr: float = 1e-2
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    complex_moment: Literal["separate", "joint"] = "separate"

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of all parameters of the model."""
        parameters = trainable(model)
        options = {"lr": self.lr, "weight_decay": self.weight_decay, "betas": self.betas}
        if self.complex_moment == "separate":
            # One kernel instead of ten a parameter; it knows no complex numbers.
            fused = not any(p.is_complex() for p in parameters)
            return torch.optim.AdamW(parameters, fused=fused, **options)
        pairs = complex_pairs(model)
        groups = [
            {"params": [p for p in parameters if p not in pairs], "pairs": False},
            {"params": [p for p in parameters if p in pairs], "pairs": True},
        ]
        return JointMomentAdamW([g for g in groups if g["params"]], **options)


@dataclass(frozen=True)
class Muon:
    """Orthogonalised momentum for matrices, AdamW at the same rate for everything else.

    Weights of convolutions are matrices of their output channels against the rest; complex
    weights, stored as real pairs or not, are complex matrices of their input channels against the
    rest. What is no matrix, or has fewer than 4 rows or columns, goes by AdamW.

    Args:
        lr: learning rate; 2e-2 at batches of 16 and 1e-2 at batches of 8 serve small operators.
        momentum: decay of the momentum.
        weight_decay: each step multiplies the weights by 1 - lr * weight_decay.
        betas: of AdamW.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; update scaled as in Liu
    et al. 2025, arXiv:2502.16982, equation 4. Complex matrices are ours.
    """

    lr: float = 2e-2
    momentum: float = 0.95
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of all parameters of the model."""
        pairs = complex_pairs(model)
        groups = {
            (matrix, pair): {"params": [], "matrix": matrix, "pairs": pair}
            for matrix in (True, False)
            for pair in (True, False)
        }
        for parameter in trainable(model):
            pair = parameter in pairs
            groups[is_matrix(parameter, pairs=pair), pair]["params"].append(parameter)
        return OrthogonalMomentum(
            [group for group in groups.values() if group["params"]],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            betas=self.betas,
        )


@dataclass(frozen=True)
class LBFGS:
    """Quasi-Newton steps with a strong Wolfe line search (Nocedal and Wright 2006, chapter 7).

    For smooth problems with the whole set in one batch: give `Settings.batch_size` the number of
    samples, no augmentation and no dropout, and the constant `OneCycle(warmup=0, start=1, end=1)`.

    Args:
        lr: first trial length of a line search, 1 for a Newton step.
        iterations: quasi-Newton iterations a step.
        history: pairs of differences that approximate the Hessian.
    """

    lr: float = 1.0
    iterations: int = 20
    history: int = 10

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of all parameters of the model."""
        return torch.optim.LBFGS(
            trainable(model),
            lr=self.lr,
            max_iter=self.iterations,
            history_size=self.history,
            line_search_fn="strong_wolfe",
        )
