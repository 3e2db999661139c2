"""One condensed set against random real images and the whole data, on one network under one recipe after the other."""

import functools
import itertools
import zlib
from typing import NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax import foreign, ranking
from experiments import output, protocols
from experiments.build import NETWORKS
from experiments.config import Config
from experiments.scorebook import Scorebook
from experiments.stop import StopRequest
from experiments.students import accuracies, everything, random_draws


class Entry(NamedTuple):
    """A set, what it is tested on, and where the accuracies are noted."""

    name: str
    condensed: dc.Condensed
    data: dc.data.Dataset
    fingerprint: str  # of the data
    width: int  # of the ConvNet
    book: Scorebook


class Terms(NamedTuple):
    """How sets are tested."""

    networks: tuple[str, ...]
    recipes: tuple[str, ...]
    augmented: tuple[bool, ...]
    rivals: tuple[str, ...]
    num_students: int
    epochs: int | None
    whole_epochs: int
    whole_students: int
    seed: int


class Case(NamedTuple):
    """One way to test a set."""

    network: str
    recipe: str
    augmented: bool


class Contest:
    """Tests entries; what does not depend on the set is measured once for all that share the data."""

    def __init__(self, terms: Terms, stop: StopRequest):
        self._terms = terms
        self._stop = stop
        self._networks = {}
        self._shared: dict[tuple, list[float]] = {}  # accuracies of random images and the whole data, by data and case

    def rows(self, entry: Entry) -> list[dict]:
        """A row for every network, recipe and augmentation; a recipe that has none gives one row."""
        rows = {}
        for name, recipe, augmented in itertools.product(*self._terms[:3]):
            label, trained = self._recipe(entry, recipe, self._terms.epochs)
            case = Case(name, label, augmented and trained != trained.plain())
            if case not in rows:
                rows[case] = self._row(entry, case, recipe)
        return list(rows.values())

    def _row(self, entry, case, recipe):
        accuracy = {
            name: self._score(entry, case, recipe, name, make, students, epochs)
            for name, make, students, epochs in self._rivals(entry)
        }
        return {**case._asdict(), "accuracy": accuracy, **_scores(accuracy, entry.condensed)}

    def _rivals(self, entry):
        """(name, sets, students, epochs): the set itself and what it is compared with."""
        terms, data, condensed = self._terms, entry.data, entry.condensed
        yield "condensed", lambda key: foreign.real_rows(condensed.batch), terms.num_students, terms.epochs
        for name, ipc in random_rivals(condensed).items():
            if "random" in terms.rivals and ipc <= min(data.train.counts):
                draw = functools.partial(random_draws, data=data, ipc=ipc, students=terms.num_students)
                yield name, draw, terms.num_students, terms.epochs
        if "whole" in terms.rivals:
            yield "whole", lambda key: everything(data), terms.whole_students, terms.whole_epochs

    def _score(self, entry, case, recipe, name, make, students, epochs):
        text = f"{case.network}/{case.recipe}{'' if case.augmented else ' plain'}/{name}"
        seed = jax.random.fold_in(jax.random.key(self._terms.seed), zlib.crc32(text.encode()))
        key, draw_key = jax.random.split(seed)
        trained = self._recipe(entry, recipe, epochs)[1]
        trained = trained if case.augmented else trained.plain()
        rival = (entry.fingerprint, entry.width, text, trained, random_rivals(entry.condensed).get(name))
        net = self._network(case.network, entry)

        def run(finished, note):
            finished = max(finished, self._shared.get(rival, []), key=len)
            with output.student_progress(f"{entry.name} {text}", students, len(finished)) as told:

                def on_scores(scores):
                    told(scores)
                    note(scores)
                    self._stop.check()

                how = {"recipe": trained, "finished": finished, "on_scores": on_scores}
                scores = accuracies(key, net, make(draw_key), entry.data, students, **how)
            note(scores)
            if name != "condensed":
                self._shared[rival] = list(scores)
            return scores

        return entry.book.fill(text, run)

    def _recipe(self, entry, name, epochs):
        return protocols.recipe(name, entry.condensed.meta, entry.data.name, epochs)

    def _network(self, name, entry):
        """One object a network, so that its training is compiled once."""
        key = (name, entry.width, entry.data.image_shape, entry.data.num_classes)
        if key not in self._networks:
            self._networks[key] = network(name, entry.width, entry.data)
        return self._networks[key]


def network(name: str, width: int, data: dc.data.Dataset) -> dc.Network:
    config = Config(network=name, width=width if name == "convnet" else Config.width)
    return dc.network(NETWORKS[name](config, data.num_classes), data.image_shape)


def random_rivals(condensed: dc.Condensed) -> dict[str, int]:
    """How many random images per class are as many, and how many fill as many bytes where that is another number."""
    images = foreign.real_rows(condensed.batch).image
    classes = len(condensed.class_names)
    ipc = condensed.meta.get("ipc") or max(images.shape[1] // classes, 1)
    stored = sum(x.nbytes for x in condensed.compact.values()) or images.nbytes
    of_image = 4 * int(np.prod(images.shape[2:]))  # real images are counted as they are learned from, in float32
    by_bytes = stored // (classes * of_image)
    return {"random": ipc} | (
        {"random_equal_bytes": by_bytes} if by_bytes not in (ipc, 0) and condensed.compact else {}
    )


def _scores(accuracy, condensed):
    """The share of the whole data's accuracy, and DD-Ranking's scores as far as they are defined here.

    HLR and LRS are for hard labels.
    """
    mean, scores = {name: score["mean"] / 100 for name, score in accuracy.items()}, {}
    if "random" in mean:
        scores["ior"] = ranking.improvement_over_random(mean["condensed"], mean["random"])
    if "whole" in mean:
        scores["relative"] = mean["condensed"] / mean["whole"]
        if set(np.unique(condensed.batch.label)) <= {0, 1}:
            scores["hlr"] = ranking.hard_label_recovery(mean["whole"], mean["condensed"])
    if {"ior", "hlr"} <= scores.keys():
        scores["lrs"] = ranking.label_robust_score(scores["hlr"], scores["ior"])
    return {name: round(value, 4) for name, value in scores.items()}
