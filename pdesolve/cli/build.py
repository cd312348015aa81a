"""Objects from config nodes: `_target_` is allowed within a few packages only.

A `_target_` runs whatever it names, so a config that came with a file could run anything.
Only pdesolve, torch.optim and neuralop.models are open; a user adds a package of their own with
`allow=[my_package]` on the command line, never from a file.
"""

from collections.abc import Sequence
from functools import partial
from inspect import signature
from typing import Any

from .failures import UsageError

ALLOWED = ("pdesolve", "torch.optim", "neuralop.models")


def build(node: Any, *, allow: Sequence[str] = (), **arguments: Any) -> Any:
    """Build what a config node describes; `arguments` are added for what its class names.

    Args:
        node: a config, resolved or not; a node without `_target_` gives None.
        allow: further packages that a `_target_` may come from.
        arguments: values that the run knows and a YAML does not (channels, grid). Those that the
            class does not name are dropped, so a foreign model gets only what it takes.

    Raises:
        UsageError: a `_target_`, at any depth, outside the allowed packages or not to be found.
    """
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(plain, dict) or "_target_" not in plain:
        return None
    for target in _targets(plain):
        located(target, allow=allow)
    named = signature(located(plain["_target_"], allow=allow)).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in named.values())
    # in_channels and out_channels reach even a class that hides its signature.
    always = {"in_channels", "out_channels"} if takes_any else set()
    known = {k: v for k, v in arguments.items() if k in named or k in always}
    # The arguments do not pass through Hydra, which would turn a Grid into a dictionary.
    factory = instantiate(plain | {"_partial_": True}, _convert_="all")
    if plain.get("_partial_"):
        return partial(factory, **known)
    try:
        return factory(**known)
    except TypeError as error:
        # An argument of a wrong name or type: the config's, since nothing else is passed.
        raise UsageError(
            f"{plain['_target_']} cannot be built from this config: {error}"
        ) from error


def located(target: str, *, allow: Sequence[str]) -> Any:
    """Return the class or function that a `_target_` names.

    Raises:
        UsageError: it is outside the allowed packages, by its name or by where it is defined
            (an allowed module that imported `os` does not open `os`), or does not exist.
    """
    from hydra.utils import get_object

    packages = (*ALLOWED, *allow)
    if not _within(target, packages):
        raise UsageError(
            f"_target_ {target!r} is outside {', '.join(packages)}: if you trust it, add "
            f"allow=[{target.partition('.')[0]}] to the command line"
        )
    try:
        found = get_object(target)
    except Exception as error:
        raise UsageError(f"_target_ {target!r} cannot be found: {error}") from error
    home = getattr(found, "__module__", None) or ""
    if not callable(found) or not _within(home, packages):
        raise UsageError(f"_target_ {target!r} is {found!r} of {home or 'no module'}, not allowed")
    return found


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["_target_"]] if "_target_" in node else []
        return here + [t for value in node.values() for t in _targets(value)]
    if isinstance(node, list):
        return [t for value in node for t in _targets(value)]
    return []
