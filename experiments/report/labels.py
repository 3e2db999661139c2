"""Says in words what was measured, from the flags of a command: method, network and evaluation, and what departs from the usual."""

import dataclasses
from collections.abc import Iterable, Mapping

from experiments.methods import METHODS
from experiments.parts import RECIPES
from experiments.parts.networks import NETWORKS
from experiments.report import words
from experiments.settings.settings import paper_settings

OF_NETWORK = {"network", *(field.name for part in NETWORKS.members.values() for field in dataclasses.fields(part))}
OF_DATA = {"image_size", "channels", "only_classes", "zca"}
OF_WHITENING = {"no_zca", "zca_epsilon"}
ASIDE = {  # settings that say nothing of what was measured, or that stand elsewhere in a table
    *("method", "dataset", "ipc", "data_dir", "workdir", "seed", "num_students", "coreset_epochs", "checkpoint_every"),
    *("eval_at", "baseline", "no_baseline", "whole", "no_whole", "resume", "devices", "no_zca", "zca_epsilon"),
}
_UNSHOWN = ("coreset_epochs", "zca_epsilon")  # those of `ASIDE` that change a set
_RECIPES = {"idc": "IDC's recipe", "constant": "constant rate", "learned": "learned rate", "replay": "DD's own steps"}


def pairs(flags: Iterable[str]) -> dict[str, str]:
    """Reads flags with their values as texts, by the names of settings."""
    found, name = {}, None
    for word in flags:
        if word.startswith("--"):
            flag, _, value = word[2:].partition("=")
            name = flag.replace("-", "_")
            found[name] = value
        elif name:
            found[name] = ",".join(filter(None, [found[name], word]))
    return found


def row(name: str, methods: list[str]) -> str:
    """Names a row of a comparison of these methods by its own, in capitals as in papers, with the parts that were replaced."""
    if name in METHODS:
        return words.method(name)
    method, departs = method_of(name, methods), name.partition(": ")
    parts = departs[2] if departs[0] in METHODS else name
    return f"{words.method(method)}: {parts}" if method else name


def method_of(name: str, methods: list[str]) -> str:
    """Gives the method of a row of a comparison of these methods, also where parts were replaced; empty where none is named."""
    first = name.partition(": ")[0]
    return first if first in METHODS else methods[0] if len(methods) == 1 else ""


def label(name: str, departs: Iterable[str], epochs: int | None = None) -> str:
    """Writes a row's name, the epochs of students on the whole training set, and the settings that depart."""
    return ", ".join([name, *([f"{epochs} epochs"] if epochs else []), *departs])


def departures(given: Mapping[str, str]) -> list[str]:
    """Writes the settings that depart from those of the method and stand nowhere else."""
    names = [name for name in given if name not in ASIDE | OF_NETWORK | OF_DATA and not name.startswith("eval_")]
    return [f"{name.replace('_', ' ')} {given[name]}".strip() for name in names]


def unshown(method: str, given: Mapping) -> tuple[str, ...]:
    """Gives the values that change a set and that no label shows: of a method that has them, and its own where none is noted."""
    if method not in METHODS:
        return ()
    own = paper_settings(method, "digits", 1, {}).values()
    names = [name for name in _UNSHOWN if name in own and (name != "zca_epsilon" or _is_whitened(given))]
    return tuple(str(given.get(name, own[name])) for name in names)


def network(config: Mapping) -> str:
    """Names the network, and the size, colours and classes of the images where they are not the data set's own."""
    size, colours = config.get("image_size"), config.get("channels")
    beside = [f"{size}x{size} pixels"] if size else []
    beside += [f"{colours} channels"] if colours else []
    classes = config.get("only_classes") or ()
    chosen = classes.split(",") if isinstance(classes, str) else [*map(str, classes)]
    beside += [f"classes {'+'.join(chosen)}"] if chosen else []
    beside += ["whitened"] if _is_whitened(config) else []
    return ", ".join([words.condensing_network(config), *beside])


def judged(evaluation: Mapping) -> str:
    """Says how students are trained; what an older file does not name is the recipe's default."""
    member = RECIPES.members.get(evaluation.get("eval_recipe", "dc"), RECIPES.members["dc"])
    default = {field.name: field.default for field in dataclasses.fields(member)}
    full = {name: evaluation.get(name, value) for name, value in default.items()}
    epochs = [f"{full.pop('eval_epochs')} epochs"] if "eval_epochs" in full else []
    recipe = [] if member is RECIPES.members["dc"] else [_RECIPES[evaluation["eval_recipe"]]]
    known = {
        name.removeprefix("eval_").replace("_", " "): value for name, value in full.items() if value != default[name]
    }
    shown = [str(value) if name == "augment" else f"{name} {value}" for name, value in known.items() if value]
    return ", ".join([*epochs, *recipe, *shown])


def _is_whitened(given):
    return given.get("zca") not in (None, False)  # a flag alone has no text
