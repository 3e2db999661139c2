"""Turns runs and comparisons into figures that can stand in one table: of the same data, network and evaluation."""

import shlex
from collections.abc import Container, Iterator
from typing import NamedTuple

from experiments.methods import METHODS, paper_cell
from experiments.parts.choices import BATCHWISE
from experiments.report import labels, words
from experiments.report.records import Comparison, Run
from experiments.settings import passed_on
from experiments.settings.flags import flags_in
from experiments.settings.settings import paper_settings, whole_epochs


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
    is_complete: bool = True  # of all the students that were asked for
    is_own: bool = True  # the settings are the method's own, but for those of `Setting`
    shortened: tuple[int, int] | None = (
        None  # iterations that were made and the paper's, of a run that is the paper's but for these
    )
    seed: int | None = None  # of a run
    beside: tuple[str, ...] = ()  # values that change a set and that no label shows


def of_run(run: Run) -> Figure:
    """Gives the figure of a run."""
    config, own = run.config, run.own
    method, is_whole = config["method"], config["method"] == "whole"
    given = labels.pairs(shlex.split(run.result["command"]))
    evaluation = {name: value for name, value in config.items() if name.startswith("eval_")}
    shortened = _shortened(config, given)
    paper = _published(method, config["dataset"], config["ipc"], evaluation) if shortened else run.paper.get(own)
    departs = [] if shortened else labels.departures(given)
    return Figure(
        Setting(config["dataset"], labels.network(config), labels.judged(evaluation)),
        method,
        labels.label(words.method(method), departs, config.get("eval_epochs") if is_whole else None),
        None if is_whole else config["ipc"],
        run.accuracy[own],
        1,
        paper,
        run.accuracy.get("random"),
        run.has_all_students,
        not departs,
        shortened,
        config.get("seed"),
        labels.unshown(method, config),
    )


def of_comparison(found: Comparison, aside: Container[str] = ()) -> Iterator[Figure]:
    """Gives the figures of a comparison, row by row; settings that are `aside` are left out of their labels."""
    said, passed = passed_on.split(shlex.split(found.command))
    methods = labels.pairs(said).get("methods", "").split(",")
    dataset, evaluation, given = found.result["dataset"], found.result["evaluation"], labels.pairs(passed)
    for row in found.rows:
        config = _config(labels.method_of(row["method"], methods) or "random", dataset, row["ipc"] or 1, given)
        method = row["method"] if row["method"] in METHODS else ""
        known = {name: value for name, value in given.items() if not method or _has(method, found, name, passed)}
        departs = labels.departures({name: value for name, value in known.items() if name not in aside})
        is_published = (
            method and not departs and not given.keys() & {*labels.OF_NETWORK, *labels.OF_DATA, *labels.OF_WHITENING}
        )
        yield Figure(
            Setting(dataset, labels.network(config), labels.judged(evaluation)),
            method,
            labels.label(
                labels.row(row["method"], methods), departs, evaluation["eval_epochs"] if method == "whole" else None
            ),
            row["ipc"],
            {name: row[name] for name in ("mean", "std", "students")},
            len(row["set_means"]),
            _published(method, dataset, row["ipc"], evaluation) if is_published else None,
            None,
            is_own=not departs and evaluation.get("eval_augment") not in BATCHWISE,
            beside=labels.unshown(method, {**known, "zca": config["zca"]}),
        )


def rows_of(setting: Setting, found: Comparison) -> list[dict]:
    """Gives the rows of a comparison that are of one setting."""
    return [row for row, figure in zip(found.rows, of_comparison(found)) if figure.setting == setting]


def _shortened(config, given):
    """Gives the iterations that a run made and those of its paper, if it made fewer and is the paper's in all else."""
    if (
        given.keys() - (labels.ASIDE - labels.OF_WHITENING) != {"iterations"}
        or not given["iterations"].isdecimal()
        or config["method"] not in METHODS
    ):
        return None
    made = int(given["iterations"])
    published = paper_settings(config["method"], config["dataset"], config["ipc"], {}).values()
    paper = published.get("iterations", 0) if published["network"] == config.get("network") else 0
    return (made, paper) if made < paper else None


def _has(method, found, name, passed):
    ipc = next(row["ipc"] for row in found.rows if row["method"] == method) or 1
    return flags_in([f"--{name}"])[0] in passed_on.flags_of(method, found.result["dataset"], ipc, {}, passed)


def _config(method, dataset, ipc, given):
    """Gives the settings of the network and the images that a method has in a comparison."""
    name = given.get("network", "convnet")
    own = paper_settings(method, dataset, ipc, {"network": name})
    usual = {**vars(own.parts["network"]), "zca": own.zca and "no_zca" not in given}
    numbers = {each: int(value) if value.isdecimal() else value for each, value in given.items()}
    return {
        **usual,
        "network": name,
        **{each: numbers[each] for each in numbers if each in labels.OF_NETWORK | labels.OF_DATA},
    }


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
    if not found or labels.judged(theirs) != labels.judged(evaluation):
        return None
    mean, std = found
    return {"mean": mean} | ({} if std is None else {"std": std})
