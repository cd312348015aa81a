"""Configs and code keep in step: targets resolve, experiments compose, names match."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pdesolve import operators, pde
from pdesolve.cli.build import located
from pdesolve.cli.configs import completed
from pdesolve.cli.jobs import planned
from pdesolve.cli.sets import sized
from pdesolve.cli.shard import Shard

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def names(group):
    files = (CONFIGS / group).rglob("*.yaml")
    return sorted(str(p.relative_to(CONFIGS / group).with_suffix("")) for p in files)


EXPERIMENTS, DATASETS = names("experiment"), names("dataset")


def composed(verb, *overrides):
    OmegaConf.register_new_resolver("started", lambda: "now", replace=True)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(verb, overrides=list(overrides))
    OmegaConf.resolve(config)
    return config


def public_classes(room):
    # ScOT is scot.yaml and FisherKPP is fisher_kpp.yaml: an acronym does not say where it is cut.
    return {name.lower() for name, value in vars(room).items() if isinstance(value, type)}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name):
    config = composed("train", f"experiment={name}")
    assert config.dataset.name in {Path(dataset).name for dataset in DATASETS}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_starts_with_its_command_and_its_table(name):
    marker, command, table = (CONFIGS / f"experiment/{name}.yaml").read_text().splitlines()[:3]
    assert marker == "# @package _global_"
    assert f"pdesolve train experiment={name}" in command
    assert table.startswith("# reproduces ")


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_starts_with_the_command_that_makes_it(name):
    first = (CONFIGS / f"dataset/{name}.yaml").read_text().splitlines()[0]
    # Arrays at scattered points are read where they lie.
    made = ("# pdesolve generate dataset=", "# pdesolve data convert ", "# pdesolve train exper")
    assert first.startswith(made)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_target_resolves(path):
    for target in re.findall(r"_target_: *([\w.]+)", path.read_text()):
        assert callable(located(target, allow=()))


@pytest.mark.parametrize(("room", "group"), [(operators, "operator"), (pde, "pde")])
def test_every_public_class_has_a_config_of_its_name_and_back(room, group):
    paths = list((CONFIGS / group).glob("*.yaml"))
    stems = {path.stem.replace("_", ""): path for path in paths}
    assert public_classes(room) <= set(stems)
    # Further configs of a class (a size, a preset) begin with its name.
    for stem, path in stems.items():
        target = re.search(r"^_target_: *pdesolve\.\w+\.(\w+)", path.read_text(), re.MULTILINE)
        assert target is not None and stem.startswith(target[1].lower())


def text_of(name):
    return (CONFIGS / f"dataset/{name}.yaml").read_text()


# Sets that are told who makes them at the small size; others are made under their own name.
TOLD = [n for n in DATASETS if re.search(r"^smoke:.*?made_by", text_of(n), re.M | re.S)]


@pytest.mark.parametrize("name", TOLD)
def test_every_small_set_is_made_where_it_is_looked_for(name):
    read = sized(composed("train", "size=smoke", f"dataset={name}"))
    for one in read.get("members") or [read]:
        command, verb, *overrides = shlex.split(one.made_by)
        assert (command, verb) == ("pdesolve", "generate")
        made = sized(composed(verb, *completed(verb, overrides)))
        assert made.path == one.path
        jobs = planned(made, Shard.parse("1/1"), composed("generate"))
        assert {job.part.split for job in jobs} == {"train", "valid", "test"}
