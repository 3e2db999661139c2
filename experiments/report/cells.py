"""Turns runs and comparisons into figures that can stand in one table: of the same data, network and evaluation."""

import dataclasses
import shlex
from collections.abc import Container, Iterator
from typing import NamedTuple

from experiments.methods import METHODS, paper_cell
from experiments.parts import RECIPES
from experiments.parts.choices import BATCHWISE
from experiments.parts.networks import NETWORKS
from experiments.report import words
from experiments.report.records import Comparison, Run
from experiments.settings import passed_on
from experiments.settings.flags import flags_in
from experiments.settings.settings import paper_settings, whole_epochs

_NETWORK = {"network", *(field.name for part in NETWORKS.members.values() for field in dataclasses.fields(part))}
_DATA = {"image_size", "channels", "only_classes", "zca"}
_ASIDE = {  # settings that say nothing of what was measured, or that stand elsewhere in a table
    *(
        "method",
        "dataset",
        "ipc",
        "data_dir",
        "workdir",
        "seed",
        "num_students",
        "coreset_epochs",
        "checkpoint_every",
        "eval_at",
    ),
    *("baseline", "no_baseline", "whole", "no_whole", "resume", "devices", "no_zca", "zca_epsilon"),
}
_BESIDE = ("coreset_epochs", "zca_epsilon")  # those of `_ASIDE` that change a set
_RECIPES = {"idc": "IDC's recipe", "constant": "constant rate", "learned": "learned rate", "replay": "DD's own steps"}


class Setting(NamedTuple):
    """What figures of one table have in common."""

    dataset: str
    network: str  # with the size of the images, in words
    evaluation: str


class Figure(NamedTuple):
    """An accuracy in percent of a method at some images per class."""

    setting: Setting
    method: str  # in `METHODS`, or "" for a row in which parts of one were replaced or settings varied
    label: str
    ipc: int | None  # None for the whole training set
    score: dict  # mean, std, students and, of a run, the values
    sets: int
    paper: dict | None
    random: dict | None
    is_complete: bool = True
    is_own: bool = True  # the settings are the method's own, but for those of `Setting`
    shortened: tuple[int, int] | None = (
        None  # iterations that were made and the paper's, of a run that is the paper's but for these
    )
    beside: tuple[str, ...] = ()  # values of `_BESIDE`, which no label shows


def of_run(run: Run) -> Figure:
    """Gives the figure of a run."""
    config, own = run.config, "condensed" if "condensed" in run.accuracy else next(iter(run.accuracy))
    pairs = _pairs(shlex.split(run.result["command"]))
    evaluation = {name: value for name, value in config.items() if name.startswith("eval_")}
    shortened = _shortened(config, pairs)
    paper = (
        _published(config["method"], config["dataset"], config["ipc"], evaluation) if shortened else run.paper.get(own)
    )
    others = [] if shortened else _others(pairs)
    is_whole = config["method"] == "whole"
    return Figure(
        Setting(config["dataset"], _network(config), judged(evaluation)),
        config["method"],
        _label(words.method(config["method"]), others, config.get("eval_epochs") if is_whole else None),
        None if is_whole else config["ipc"],
        run.accuracy[own],
        1,
        paper,
        run.accuracy.get("random"),
        run.result.get("complete", True),
        not others,
        shortened,
        _beside(config["method"], config),
    )


def _shortened(config, pairs):
    """Gives the iterations that a run made and those of its paper, if it made fewer and is the paper's in all else."""
    if (
        pairs.keys() - _ASIDE != {"iterations"}
        or not pairs["iterations"].isdecimal()
        or config["method"] not in METHODS
    ):
        return None
    made = int(pairs["iterations"])
    published = paper_settings(config["method"], config["dataset"], config["ipc"], {}).values()
    paper = published.get("iterations", 0) if published["network"] == config.get("network") else 0
    return (made, paper) if made < paper else None


def of_comparison(found: Comparison, aside: Container[str] = ()) -> Iterator[Figure]:
    """Gives the figures of a comparison, row by row; settings that are `aside` are left out of their labels."""
    _, passed = passed_on.split(shlex.split(found.command))
    evaluation, pairs = found.result["evaluation"], _pairs(passed)
    for row in found.rows:
        method = row["method"] if row["method"] in METHODS else ""
        known = {name: value for name, value in pairs.items() if not method or _has(method, found, name, passed)}
        setting = Setting(found.result["dataset"], _network(_config(found, pairs)), judged(evaluation))
        others = _others({name: value for name, value in known.items() if name not in aside})
        epochs = evaluation["eval_epochs"] if method == "whole" else None
        label = _label(named(found, row["method"]), others, epochs)
        is_published = method and not others and not pairs.keys() & (_NETWORK | _DATA)
        paper = _published(method, found.result["dataset"], row["ipc"], evaluation) if is_published else None
        score = {name: row[name] for name in ("mean", "std", "students")}
        yield Figure(
            setting,
            method,
            label,
            row["ipc"],
            score,
            len(row["set_means"]),
            paper,
            None,
            is_own=not others and evaluation.get("eval_augment") not in BATCHWISE,
            beside=_beside(method, known),
        )


def named(found: Comparison, row: str) -> str:
    """Names a row of a comparison by its method, in capitals as in papers, with the parts that were replaced."""
    if row in METHODS:
        return words.method(row)
    methods = _pairs(passed_on.split(shlex.split(found.command))[0]).get("methods", "").split(",")
    return _replaced(row, methods)


def judged(evaluation: dict) -> str:
    """Says in words how students are trained; what an older file does not name is the recipe's default."""
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


def _beside(method, values):
    """Gives the values that change a set and that no label shows: of a method that has them, and its own where none is noted."""
    if method not in METHODS:
        return ()
    own = paper_settings(method, "digits", 1, {}).values()
    is_whitened = values.get("zca") not in (None, False)  # a flag alone has no text
    names = [name for name in _BESIDE if name in own and (name != "zca_epsilon" or is_whitened)]
    return tuple(str(values.get(name, own[name])) for name in names)


def _pairs(words_):
    """Reads flags with their values as texts, by the names of settings."""
    pairs, name = {}, None
    for word in words_:
        if word.startswith("--"):
            flag, _, value = word[2:].partition("=")
            name = flag.replace("-", "_")
            pairs[name] = value
        elif name:
            pairs[name] = ",".join(filter(None, [pairs[name], word]))
    return pairs


def _others(pairs):
    """Writes the settings that depart from those of the method and stand nowhere else."""
    names = [name for name in pairs if name not in _ASIDE | _NETWORK | _DATA and not name.startswith("eval_")]
    return [f"{name.replace('_', ' ')} {pairs[name]}".strip() for name in names]


def _label(name, others, epochs):
    return ", ".join([name, *([f"{epochs} epochs"] if epochs else []), *others])


def _replaced(row, methods):
    """Names a row in which parts were replaced or settings varied after its method, in capitals as in papers."""
    method, colon, rest = row.partition(": ")
    if colon and method in METHODS:
        return f"{words.method(method)}: {rest}"
    return f"{words.method(methods[0])}: {row}" if len(methods) == 1 and methods[0] else row


def _has(method, found, name, passed):
    ipc = next(row["ipc"] for row in found.rows if row["method"] == method) or 1
    return flags_in([f"--{name}"])[0] in passed_on.flags_of(method, found.result["dataset"], ipc, {}, passed)


def _config(found, pairs):
    """Gives the settings of the network and the images that a comparison has."""
    name = pairs.get("network", "convnet")
    usual = vars(paper_settings("random", found.result["dataset"], 1, {"network": name}).parts["network"])
    numbers = {each: int(value) if value.isdecimal() else value for each, value in pairs.items()}
    return {**usual, "network": name, **{each: numbers[each] for each in numbers if each in _NETWORK | _DATA}}


def _network(config):
    size, colours = config.get("image_size"), config.get("channels")
    beside = [f"{size}x{size} pixels"] if size else []
    beside += [f"{colours} channels"] if colours else []
    classes = config.get("only_classes") or ()
    chosen = classes.split(",") if isinstance(classes, str) else [*map(str, classes)]
    beside += [f"classes {'+'.join(chosen)}"] if chosen else []
    beside += ["whitened"] if config.get("zca") not in (None, False) else []  # a flag alone has no text
    return ", ".join([words.condensing_network(config), *beside])


def _as_preset(value):
    """Gives the name that a preset has for an augmentation which draws once for a whole mini-batch, as the papers' programs do."""
    return value.removesuffix("_batch") if isinstance(value, str) and value in BATCHWISE else value


def _published(method, dataset, ipc, evaluation):
    """Gives the paper's figure for a method's own settings, if it was judged by the paper's evaluation."""
    own = paper_settings(method, dataset, ipc or 1, {}).parts["eval_recipe"]
    theirs = {"eval_recipe": paper_settings(method, dataset, ipc or 1, {}).eval_recipe, **vars(own)}
    theirs |= {"eval_epochs": whole_epochs(dataset)} if method == "whole" else {}
    found = paper_cell(method, dataset, ipc or 1).get("whole" if method == "whole" else "condensed")
    evaluation = {name: _as_preset(value) for name, value in evaluation.items()}
    if not found or judged(theirs) != judged(evaluation):
        return None
    mean, std = found
    return {"mean": mean} | ({} if std is None else {"std": std})
