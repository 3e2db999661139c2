"""Tests what only an addressable memory can do: one memory serves any subset of its classes, and any label."""

import dataclasses
import functools
import math
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dcjax as dc
from experiments.pipeline import show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.execute import make
from experiments.pipeline.rundir import RunDirectory
from experiments.pipeline.scores import ScoreStore
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.students import accuracies, everything
from experiments.settings.settings import Settings


@dataclasses.dataclass(frozen=True)
class Tests:
    """Trains students on what a memory recalls, under the recipe of its run, and notes every accuracy at once."""

    place: Path  # the run directory of the memory
    settings: Settings
    memory: dc.Condensed
    data: dc.data.Dataset
    store: ScoreStore
    stop: StopRequest
    num_students: int
    whole_epochs: int
    seed: int

    def of_subset(self, subset: tuple[int, ...], recondense: bool) -> dict[str, Any]:
        """Gives the accuracies of classifiers of some classes: from the memory, from all real images, from a memory of their own."""
        data = self.data.only(subset)
        recalled = _labelled(self._recall(jnp.eye(self.data.num_classes)[np.array(subset)]), jnp.eye(len(subset)))
        name = "+".join(map(str, subset))
        accuracy = {"memory": self._score(f"{name}/memory", data, lambda: (recalled, self.memory.hyper))}
        if recondense:
            accuracy |= self._of_its_own(name, subset, data)
        whole = f"{name}/whole, {self.whole_epochs} epochs"
        accuracy["all real images"] = self._score(
            whole, data, lambda: (everything(data), self.memory.hyper), self.whole_epochs
        )
        return {"classes": name, "accuracy": accuracy}

    def of_mixtures(self, count: int) -> dict[str, Any]:
        """Gives the accuracies of classifiers of all classes: from images recalled for them, and with those of mixed labels beside them."""
        num_classes = self.data.num_classes
        hard = jnp.eye(num_classes)
        mixed = jnp.concatenate([hard, mixed_labels(jax.random.key(self.seed), num_classes, count)])

        def recalled(labels):
            return lambda: (_labelled(self._recall(labels), labels), self.memory.hyper)

        accuracy = {
            "memory": self._score("all/memory", self.data, recalled(hard)),
            "memory, mixed labels": self._score(f"all/{count} mixed", self.data, recalled(mixed)),
        }
        return {"classes": "all", "mixtures": count, "accuracy": accuracy}

    def _of_its_own(self, name, subset, data):
        """Gives the accuracy from a memory of the subset alone; nothing where making it diverged."""
        settings = self._settings_of(subset)
        case = f"{name}/recondensed, {settings.iterations} iterations"
        try:
            return {"its own memory": self._score(case, data, functools.partial(self._recondensed, settings))}
        except Diverged as diverged:
            show.say(f"Not in the table: {name}, its own memory. {diverged}")
            return {}

    def _recall(self, label):
        syn = {name: jnp.asarray(x) for name, x in self.memory.compact.items()}
        return dc.recall(syn, label, self.memory.meta["decoder"]["arguments"]["downsample"])

    def _score(self, case, data, training_set, epochs=None):
        recipe = self.settings.parts["eval_recipe"]
        recipe = dataclasses.replace(recipe, eval_epochs=epochs) if epochs else recipe
        net = dc.network(self.settings.parts["network"].build(data.num_classes), data.image_shape)
        key = jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(case.encode()))

        def evaluation(finished, note):
            if len(finished) >= self.num_students:  # what they are trained on may take as long as a run to make
                return np.asarray(finished[: self.num_students])
            batch, hyper = training_set()
            how = {"title": case, "recipe": recipe.build(), "hyper": hyper, "finished": finished, "note": note}
            return accuracies(key, net, batch, data, self.num_students, check=self.stop.check, **how)

        return self.store.measure(case, evaluation)

    def _settings_of(self, subset):
        """Gives the settings of a memory of a subset alone, with as many bases and recalls: those of the memory's run in all else."""
        recalls, bases = self.memory.compact["addresses"].shape[0], self.memory.compact["bases"]
        stored = bases.size + recalls * len(subset) * len(bases)
        ipc = -(-stored // (len(subset) * math.prod(self.data.image_shape)))
        classes = tuple((self.settings.only_classes or range(self.data.num_classes))[k] for k in subset)
        place = self.place / "recondensed" / "+".join(map(str, subset))
        own = {"ipc": ipc, "recalls": recalls, "only_classes": classes, "workdir": str(place), "eval_at": (0,)}
        own |= {"minutes": None, "eval_minutes": (), "iterations": self._iterations()}
        return self.settings.replace(**own, resume=(place / "config.json").is_file())

    def _iterations(self):
        """Gives the iterations that made the memory; earlier versions noted those of a run by minutes in its log alone."""
        if "iterations" in self.memory.meta:
            return self.memory.meta["iterations"]
        if not self.settings.minutes:
            return self.settings.iterations
        reached = max((row["iteration"] for row in RunDirectory(self.place).history()), default=None)
        if reached is None:
            raise dc.InputError(
                f"Nothing says how many iterations made {self.place / 'condensed.npz'}: `experiments.run --resume` it first."
            )
        return reached

    def _recondensed(self, settings):
        """Gives what a memory of a subset alone decodes and the hyperparameters beside it, from its run, which is made unless it is there."""
        file = Path(settings.workdir, "condensed.npz")
        if not file.is_file() or dc.load_condensed(file).meta["iterations"] != settings.iterations:
            make(settings, self.stop)
        made = dc.load_condensed(file)
        return made.batch, made.hyper


def mixed_labels(key: dc.Key, num_classes: int, count: int) -> jax.Array:
    """Draws labels of two different classes each, in a random mixture, [count, K]."""
    pair_key, share_key = jax.random.split(key)
    pairs = jax.vmap(lambda key: jax.random.permutation(key, num_classes)[:2])(jax.random.split(pair_key, count))
    share = jax.random.uniform(share_key, (count, 1))
    first, second = (jax.nn.one_hot(pairs[:, i], num_classes) for i in (0, 1))
    return share * first + (1 - share) * second


def sizes(memory: dc.Condensed, data: dc.data.Dataset) -> str:
    """Says what the memory stores, and what it would with other numbers of classes."""
    addresses, bases = memory.compact["addresses"], memory.compact["bases"]
    recalls, num_classes, num_bases = addresses.shape
    counts = sorted({2, num_classes, 10 * num_classes})
    values = [f"{bases.size + recalls * n * num_bases} for {n} classes" for n in counts]
    return (
        f"Stored values: {bases.size} in {num_bases} bases that all classes share, and {recalls * num_bases} addresses of every class, which is "
        f"{', '.join(values)}; {recalls} image(s) of every class as pixels would be {recalls * math.prod(data.image_shape)} each."
    )


def _labelled(image, label):
    """Makes a batch of recalls [n, r, ...], each with the label [n, K] that it was recalled by."""
    return dc.Batch(image, jnp.broadcast_to(label[:, None], (*image.shape[:2], label.shape[-1])))
