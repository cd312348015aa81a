"""Fine-tuning: parameters in groups, each with its own learning rate and decay, or frozen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from .pairs import trainable


@dataclass(frozen=True)
class Rule:
    """How the parameters are trained whose names a pattern finds.

    Args:
        pattern: regular expression, searched for in the name, such as "patch_recovery" or
            r"norm.*\\.bias$". Inside `Normalized` names begin with "operator.".
        lr: None is the optimiser's.
        weight_decay: None is the optimiser's.
        frozen: keep them as they are.
    """

    pattern: str
    lr: float | None = None
    weight_decay: float | None = None
    frozen: bool = False


@dataclass(frozen=True)
class GroupedAdamW:
    """AdamW with a rate and a decay for each group of parameters.

    The first rule that finds a name decides; parameters that none finds have the optimiser's own
    rate and decay. Schedules multiply all rates by the same factor.

    Args:
        lr: learning rate of what no rule says otherwise.
        weight_decay: each step multiplies the weights by 1 - lr * weight_decay.
        betas: decay of the first and of the second moment.
        rules: in the order in which they are tried.

    Raises:
        ValueError: when called: a rule finds no parameter that earlier ones left, or all
            parameters are frozen.

    Source: the groups of Poseidon's fine-tuning, Herde et al. 2024, arXiv:2405.19101, appendix C.
    """

    lr: float = 5e-5
    weight_decay: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    rules: Sequence[Rule] = ()

    def __call__(self, model: nn.Module) -> Optimizer:
        """Return the optimiser of the model; frozen parameters ask for no gradient any more."""
        found = self.groups(model)
        for rule, parameters in found:
            if rule.frozen:
                for parameter in parameters:
                    parameter.requires_grad_(False)
        trainable(model)
        groups = [
            {
                "params": parameters,
                "lr": self.lr if rule.lr is None else rule.lr,
                "weight_decay": (
                    self.weight_decay if rule.weight_decay is None else rule.weight_decay
                ),
            }
            for rule, parameters in found
            if not rule.frozen and parameters
        ]
        fused = not any(p.is_complex() for group in groups for p in group["params"])
        return torch.optim.AdamW(groups, betas=self.betas, fused=fused)

    def groups(self, model: nn.Module) -> list[tuple[Rule, list[nn.Parameter]]]:
        """Return each rule with its parameters, and last those that no rule finds."""
        rest = {name: p for name, p in model.named_parameters() if p.requires_grad}
        found = []
        for rule in self.rules:
            names = [name for name in rest if re.search(rule.pattern, name)]
            if not names:
                raise ValueError(
                    f"rule {rule.pattern!r} finds none of the parameters that earlier rules left, "
                    f"such as {list(rest)[:3]}: correct the pattern, or leave the rule out"
                )
            found.append((rule, [rest.pop(name) for name in names]))
        return [*found, (Rule(""), list(rest.values()))]
