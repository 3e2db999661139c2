"""Trains the candidates of a search on every proxy and on the whole training set, and notes each training at once."""

import math
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax

import dcjax as dc
from dcjax.training import flatten
from experiments.pipeline import show, standings
from experiments.pipeline.candidates import Candidate
from experiments.pipeline.machine import release_programs
from experiments.pipeline.proxies import Proxy
from experiments.pipeline.record import EARLY, WHOLE, Record
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.students import everything
from experiments.pipeline.trials import Trained, Trials


class Search(NamedTuple):
    """The terms on which all candidates are trained, and the record that each training is noted in."""

    data: dc.data.Dataset  # without the images that are held out
    held_out: dc.data.Split
    proxies: list[Proxy]
    early: bool  # whether the whole set is also a proxy, for the time that the first one takes
    recipe: dc.Recipe  # on a proxy
    whole_recipe: dc.Recipe
    seed: int
    record: Record
    stop: StopRequest

    @property
    def names(self) -> list[str]:
        """Names all that stands for the whole set."""
        return [proxy.name for proxy in self.proxies] + [EARLY] * self.early

    def try_all(self, candidates: list[Candidate], whole: str, on_candidate: Callable[[], None]) -> None:
        """Trains candidates one after the other.

        Args:
            candidates: those to train.
            whole: which of them are trained on the whole set too: "all", those at the "top" by a proxy, or "none".
            on_candidate: called after each of them.
        """
        batch = flatten(everything(self.data)) if whole != "none" else None
        wanted = {*self.names, *([WHOLE] if whole == "all" else [])}
        for candidate in self._in_turn("training candidates", candidates, wanted, on_candidate):
            trials = Trials(candidate.net)
            self.try_proxies(candidate, trials)
            if whole == "all":
                self.try_whole(candidate, trials, batch)
        best = self._best(candidates) if whole == "top" else []
        for candidate in self._in_turn("training the best on the whole set", best, {WHOLE}, on_candidate):
            self.try_whole(candidate, Trials(candidate.net), batch)

    def _in_turn(self, title, candidates, wanted, on_candidate) -> Iterator[Candidate]:
        """Yields the candidates that lack some of the wanted trainings, under a progress bar."""
        lacking = [each for each in candidates if not wanted <= self.record.trained(each.name).keys()]
        if not lacking:
            return
        with show.progress(title, len(candidates), len(candidates) - len(lacking)) as advance:
            for candidate in lacking:
                yield candidate
                release_programs()
                on_candidate()
                advance(candidate.name)

    def _best(self, candidates):
        known = {candidate.name: self.record.candidates[candidate.name] for candidate in candidates}
        best = {name for proxy in self.names for name in standings.ranked(known, proxy)[: standings.TOP]}
        return [candidate for candidate in candidates if candidate.name in best]

    def try_proxies(self, candidate: Candidate, trials: Trials) -> None:
        """Trains a candidate on everything that stands for the whole set, as far as that is not noted."""
        for proxy in self._missing(candidate, self.proxies):
            trained = trials.train(self._key(candidate, proxy.name), proxy.batch, self.recipe)
            self._note(candidate, proxy.name, trials, trained)
        if self.early and EARLY not in self.record.trained(candidate.name):
            seconds = self.record.trained(candidate.name)[self.proxies[0].name]["seconds"]
            trained = trials.train_for(self._key(candidate, EARLY), self.data.train, self.recipe, seconds)
            self._note(candidate, EARLY, trials, trained)

    def _missing(self, candidate, proxies):
        return [proxy for proxy in proxies if proxy.name not in self.record.trained(candidate.name)]

    def try_whole(self, candidate: Candidate, trials: Trials, batch: dc.Batch) -> None:
        """Trains a candidate on the whole set unless that is noted, and tests that network alone on the test images."""
        if WHOLE not in self.record.trained(candidate.name):
            trained = trials.train(self._key(candidate, WHOLE), batch, self.whole_recipe)
            test = _share(trials.test(trained.params, self.data.test))
            self._note(candidate, WHOLE, trials, trained, test_accuracy=test)

    def _note(self, candidate, proxy, trials: Trials, trained: Trained, **more):
        facts = {"accuracy": _share(trials.test(trained.params, self.held_out)), **more}
        facts |= {} if trained.seen is None else {"seen": trained.seen}
        times = {"seconds": round(trained.seconds, 3), "compile_seconds": round(trials.compiled(), 3)}
        self.record.note(candidate, proxy, {**facts, **times, "images": trained.images})
        self.record.write()
        self.stop.check()

    def _key(self, candidate, proxy):
        """Gives the key of a training, which depends on nothing but the seed, the candidate and the proxy."""
        return jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(f"{candidate.name}/{proxy}".encode()))


def _share(accuracy):
    """Gives an accuracy for a file: None for a training that diverged."""
    return None if math.isnan(accuracy) else round(accuracy, 5)
