"""Compares a condensed set with random real images and the whole data, on every network under every recipe."""

import functools
import itertools
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax import foreign, ranking
from experiments.pipeline import show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.machine import environment
from experiments.pipeline.recipes import full_epochs, recipe
from experiments.pipeline.scores import ScoreStore
from experiments.pipeline.stated import stated
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.students import RandomDraws, accuracies, everything
from experiments.settings.networks import specified


class Entry(NamedTuple):
    """A set, the data that it is tested on, and the store of its accuracies."""

    name: str
    condensed: dc.Condensed
    data: dc.data.Dataset
    fingerprint: str  # of the data
    width: int  # of a ConvNet that does not name its own
    store: ScoreStore


class Terms(NamedTuple):
    """The terms on which all sets are tested."""

    networks: tuple[str, ...]
    recipes: tuple[str, ...]
    augmented: tuple[bool, ...]
    rivals: tuple[str, ...]
    num_students: int
    epochs: int | None
    whole_epochs: int | None  # None for as many as each recipe trains for as published
    whole_students: int
    seed: int


class Case(NamedTuple):
    """One way to test a set."""

    network: str
    recipe: str
    augmented: bool


class Tests:
    """Tests sets; the accuracy of a rival is measured once for all sets that share the data."""

    def __init__(self, terms: Terms, stop: StopRequest):
        self._terms = terms
        self._stop = stop
        self._shared: dict[tuple, list[float]] = {}  # accuracies of random images and the whole data, by data and case

    def rows(self, entry: Entry) -> tuple[list[dict], dict[str, str]]:
        """Gives a row for every network, recipe and augmentation, and by case a sentence for every set whose students all diverged.

        A recipe without augmentation gives one row; a set that is tested and whose students diverge gives none.
        """
        rows, failures = {}, {}
        for name, recipe_name, augmented in itertools.product(*self._terms[:3]):
            label, trained = self._recipe(entry, recipe_name, self._terms.epochs)
            case = Case(name, label, augmented and trained != trained.plain())
            if case not in rows:
                rows[case] = self._row(entry, case, recipe_name, failures)
        return [*filter(None, rows.values())], failures

    def _row(self, entry, case, recipe_name, failures):
        """Gives a row, None if the set's own students diverged; adds to `failures`."""
        full = full_epochs(recipe_name, known(entry.condensed), entry.data.name)
        accuracy = {}
        for name, make, students, epochs in self._rivals(entry, full):
            try:
                score = self._score(entry, case, recipe_name, name, make, students, epochs)
            except Diverged as diverged:
                failures[_text(case, name)] = f"{entry.name}, {_text(case, name)}. {diverged}"
            else:
                accuracy[name] = score | _said(name, epochs)
            if "condensed" not in accuracy:
                return None
            if name == "condensed" and (theirs := stated(entry.condensed, _part(case.network, entry.width))):
                accuracy["stated"] = show.summary(np.array(theirs))
        replayed = {"left_out": _REPLAYED} if "whole" in self._terms.rivals and not full else {}
        return {**case._asdict(), "accuracy": accuracy, **_scores(accuracy, entry.condensed, full), **replayed}

    def _rivals(self, entry, full):
        """Yields (name, function that makes the training sets, students, epochs) of the set itself and of its rivals."""
        terms, data, condensed = self._terms, entry.data, entry.condensed
        yield "condensed", lambda key: foreign.real_rows(condensed.batch), terms.num_students, terms.epochs
        for name, ipc in random_rivals(condensed).items():
            if "random" in terms.rivals and ipc <= min(data.train.counts):
                draw = functools.partial(RandomDraws, ipc=ipc)
                yield name, draw, terms.num_students, terms.epochs
        if "whole" in terms.rivals and full:
            yield "whole", lambda key: everything(data), terms.whole_students, terms.whole_epochs or full

    def _score(self, entry, case, recipe_name, name, make, students, epochs):
        text = _text(case, name)
        seed = jax.random.fold_in(jax.random.key(self._terms.seed), zlib.crc32(text.encode()))
        key, draw_key = jax.random.split(seed)
        trained = self._recipe(entry, recipe_name, epochs)[1]
        trained = trained if case.augmented else trained.plain()
        trained = trained if name == "condensed" else trained._replace(views=1)
        rates = repr(entry.condensed.hyper)  # at which rivals are trained too, where the recipe says so
        rival = (entry.fingerprint, entry.width, text, trained, rates, random_rivals(entry.condensed).get(name))
        net = network(case.network, entry.width, entry.data)

        def evaluation(finished, note):
            finished = max(finished, self._shared.get(rival, []), key=len)
            how = {"title": f"{entry.name} {text}", "recipe": trained, "hyper": entry.condensed.hyper}
            how |= {"finished": finished, "note": note, "check": self._stop.check}
            scores = accuracies(key, net, make(draw_key), entry.data, students, **how)
            if name != "condensed":
                self._shared[rival] = list(scores)
            return scores

        return entry.store.measure(text, evaluation)

    def _recipe(self, entry, name, epochs):
        return recipe(name, known(entry.condensed), entry.data.name, epochs)


def _text(case, name):
    return f"{case.network}/{case.recipe}{'' if case.augmented else ' plain'}/{name}"


def network(name: str, width: int, data: dc.data.Dataset) -> dc.Network:
    """Makes a network by its specification; `width` is that of a ConvNet that does not name its own."""
    return dc.network(_part(name, width).build(data.num_classes), data.image_shape)


def _part(name, width):
    return specified(name, **({"width": width} if name.partition(":")[0] == "convnet" else {}))


def known(condensed: dc.Condensed) -> dict[str, Any]:
    """Gives what a set notes of itself, and its images per class if it does not note them."""
    return condensed.meta | {"ipc": random_rivals(condensed)["random"]}


def finish(store: ScoreStore, rows: list[dict], failures: dict[str, str]) -> list[dict]:
    """Adds rows to a store in place of those of the same case, adds scores that need several rows, and gives the new rows.

    The sentences on what diverged are noted beside them until it is measured.
    """
    measured = {_text(Case(*_case(row)), name) for row in rows for name in row["accuracy"]}
    noted = {case: text for case, text in store.content.get("diverged", {}).items() if case not in measured}
    store.content["diverged"] = noted | failures
    fresh = [_case(row) for row in rows]
    everything = [row for row in store.content.get("rows", []) if _case(row) not in fresh] + rows
    store.content["rows"] = [{**row, "ars": _augmentation_robust(row, everything)} for row in everything]
    store.content |= environment()
    store.write()
    return store.content["rows"][len(everything) - len(rows) :]


def random_rivals(condensed: dc.Condensed) -> dict[str, int]:
    """Gives the images per class of the random rivals: as many as the set's, and those that fill its bytes if that differs."""
    images = foreign.real_rows(condensed.batch).image
    classes = len(condensed.class_names)
    ipc = condensed.meta.get("ipc") or max(images.shape[1] // classes, 1)
    stored = sum(x.nbytes for x in condensed.compact.values()) or images.nbytes
    of_image = 4 * int(np.prod(images.shape[2:]))  # real images count as float32, in which they are trained on
    by_bytes = stored // (classes * of_image)
    return {"random": ipc} | (
        {"random_equal_bytes": by_bytes} if by_bytes not in (ipc, 0) and condensed.compact else {}
    )


def _said(name, epochs):
    """Gives what stands beside the accuracy of a rival: of the whole training set, the epochs."""
    return {"epochs": epochs} if name == "whole" else {}


def _case(row):
    return tuple(row[name] for name in Case._fields)


def _augmentation_robust(row, rows):
    """Computes ARS, if the same case was measured with and without augmentation."""
    gains = {
        other["augmented"]: other["ior"] for other in rows if "ior" in other and _case(other)[:2] == _case(row)[:2]
    }
    return round(ranking.augmentation_robust_score(gains[True], gains[False]), 4) if len(gains) == 2 else None


def _scores(accuracy, condensed, full):
    """Computes the share of the whole data's accuracy, and those of DD-Ranking's scores that are defined here.

    HLR and LRS are defined for hard labels alone, and all that take the whole data as an upper bound need `full` epochs of it: what is
    left out for want of them is said.
    """
    mean, scores = {name: score["mean"] / 100 for name, score in accuracy.items()}, {}
    if "random" in mean:
        scores["ior"] = ranking.improvement_over_random(mean["condensed"], mean["random"])
    if "whole" in mean and accuracy["whole"]["epochs"] != full:
        return {name: round(value, 4) for name, value in scores.items()} | {"left_out": _left_out(accuracy, full)}
    if "whole" in mean:
        scores["relative"] = mean["condensed"] / mean["whole"]
        if set(np.unique(condensed.batch.label)) <= {0, 1}:
            scores["hlr"] = ranking.hard_label_recovery(mean["whole"], mean["condensed"])
    if {"ior", "hlr"} <= scores.keys():
        scores["lrs"] = ranking.label_robust_score(scores["hlr"], scores["ior"])
    return {name: round(value, 4) for name, value in scores.items()}


_REPLAYED = "The whole training set is left out: the recipe replays the steps that the images were learned for, as many images of every class in order."


def _left_out(accuracy, full):
    """Says why scores that take the whole data as an upper bound are left out."""
    return (
        f"HLR, LRS and the share of the whole set are left out: it was trained on for {accuracy['whole']['epochs']} epochs, as published "
        f"they are {full} (--whole-epochs {full})."
    )
