"""The config that a verb would run with, resolved, without running it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..configs import completed, config_folder
from ..sets import sized


def composed(verb: str, overrides: Sequence[str], operator: Any = None) -> dict[str, Any]:
    """Return the config of `pdesolve VERB OVERRIDES` as JSON values.

    Args:
        verb: of the command line.
        overrides: of its config.
        operator: takes the place of the config's operator where it is not None; overrides of
            operator.KEY are then its own.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    own = [o for o in overrides if operator is not None and o.startswith("operator.")]

    OmegaConf.register_new_resolver("started", lambda: "", replace=True)
    with _no_other_hydra():
        known = completed(verb, [o for o in overrides if o not in own])
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose(verb, overrides=known)
    if operator is not None:
        OmegaConf.update(config, "operator", operator, merge=False, force_add=True)
    for given in OverridesParser.create().parse_overrides(own):
        OmegaConf.update(config, given.key_or_group, given.value(), force_add=True)
    OmegaConf.resolve(config)
    if "size" in config and "dataset" in config:
        config.dataset = sized(config)
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@contextmanager
def _no_other_hydra() -> Iterator[None]:
    """Put aside the Hydra of the verb in progress, which does not bear another one."""
    from hydra.core.global_hydra import GlobalHydra

    everywhere = GlobalHydra.instance()
    own, everywhere.hydra = everywhere.hydra, None
    try:
        yield
    finally:
        everywhere.hydra = own
