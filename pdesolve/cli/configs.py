"""Where the configs are, and overrides checked against them before a run starts."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .failures import UsageError

# What `sets` and `mixture` read of a dataset that need not say it.
DATASET_KEYS = ("holdout", "horizon", "train_samples")
_PACKAGE = Path(__file__).resolve().parents[1]


def config_folder() -> Path:
    """Return the folder of the configs: the wheel's `pdesolve/configs`, else the checkout's.

    Raises:
        UsageError: neither is there.
    """
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if folder.is_dir():
            return folder
    raise UsageError(
        f"no configs at {_PACKAGE / 'configs'} nor beside the package: install the wheel, or run "
        "from a checkout of the repository"
    )


def completed(verb: str, overrides: Sequence[str]) -> list[str]:
    """Return the overrides with a `+` before each argument that a YAML leaves at its default.

    A YAML holds what differs from the defaults of the class that it builds, so that
    `operator.norm=layer` names a key that the config does not have; the class has it.

    Raises:
        UsageError: a key that neither the config nor the class knows; names the nearest one.
    """
    from hydra import compose, initialize_config_dir

    choices = [o for o in overrides if _is_choice(o)]
    for choice in choices:
        _check_choice(choice)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(verb, overrides=[_first_of_sweep(o) for o in choices])
    return [o if o in choices else _completed(o, config) for o in overrides]


def _is_choice(override: str) -> bool:
    # `experiment=darcy/demo`, `+x=1`, `hydra.run.dir=x`, `~x`: Hydra itself checks these.
    key = override.partition("=")[0]
    group = key.lstrip("+").partition("@")[0]
    return (config_folder() / group).is_dir() or not key[:1].isalnum() or key.startswith("hydra")


def _check_choice(override: str) -> None:
    key, _, value = override.partition("=")
    group = config_folder() / key.lstrip("+").partition("@")[0]
    if not group.is_dir() or not value or "(" in value or "[" in value:
        return
    options = sorted(str(p.relative_to(group).with_suffix("")) for p in group.rglob("*.yaml"))
    for chosen in value.split(","):
        if chosen not in (*options, "null"):
            near = get_close_matches(chosen, options, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(options)}"
            raise UsageError(f"no {key} {chosen!r}: {hint}")


def _first_of_sweep(override: str) -> str:
    key, equals, value = override.partition("=")
    # `~key` takes a key away and has no value.
    whole = not equals or "(" in value or "[" in value
    return override if whole else f"{key}={value.split(',')[0]}"


def _completed(override: str, config: Any) -> str:
    key, equals, _ = override.partition("=")
    if not equals:
        raise UsageError(f"override {override!r} has no value: write {override}=VALUE")
    if key in set(keys(config)):
        return override
    parent, _, name = key.rpartition(".")
    known = arguments_of(config, parent)
    if name in known:
        return f"+{override}"
    candidates = [*keys(config), *(f"{parent}.{a}" if parent else a for a in known)]
    near = get_close_matches(key, list(dict.fromkeys(candidates)), 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see --help for the config"
    raise UsageError(f"no key {key!r} in this config: {hint}")


def keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all keys of a config."""
    from omegaconf import DictConfig

    for name in config:
        yield f"{prefix}{name}"
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            yield from keys(node, f"{prefix}{name}.")


def arguments_of(config: Any, parent: str) -> list[str]:
    """Return what may stand under the node `parent`: the arguments of the class that it builds."""
    from inspect import signature

    from omegaconf import OmegaConf

    from .build import located

    if parent == "dataset":
        return list(DATASET_KEYS)
    node = OmegaConf.select(config, parent) if parent else config
    target = node.get("_target_") if OmegaConf.is_dict(node) else None
    return list(signature(located(target, allow=())).parameters) if target else []
