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
        accuracy = {"memory": self._score(f"{name}/memory", data, lambda: recalled)}
        if recondense:
            own = functools.partial(self._recondensed, subset)
            accuracy["its own memory"] = self._score(f"{name}/recondensed", data, own)
        whole = f"{name}/whole, {self.whole_epochs} epochs"
        accuracy["all real images"] = self._score(whole, data, lambda: everything(data), self.whole_epochs)
        return {"classes": name, "accuracy": accuracy}

    def of_mixtures(self, count: int) -> dict[str, Any]:
        """Gives the accuracies of classifiers of all classes: from images recalled for them, and with those of mixed labels beside them."""
        num_classes = self.data.num_classes
        hard = jnp.eye(num_classes)
        mixed = jnp.concatenate([hard, mixed_labels(jax.random.key(self.seed), num_classes, count)])
        accuracy = {
            "memory": self._score("all/memory", self.data, lambda: _labelled(self._recall(hard), hard)),
            "memory, mixed labels": self._score(
                f"all/{count} mixed", self.data, lambda: _labelled(self._recall(mixed), mixed)
            ),
        }
        return {"classes": "all", "mixtures": count, "accuracy": accuracy}

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
            how = {
                "title": case,
                "recipe": recipe.build(),
                "hyper": self.memory.hyper,
                "finished": finished,
                "note": note,
            }
            return accuracies(key, net, training_set(), data, self.num_students, check=self.stop.check, **how)

        return self.store.measure(case, evaluation)

    def _recondensed(self, subset):
        """Condenses a subset alone into a memory with as many bases and recalls: a run of its own, by the settings of the memory's."""
        recalls, bases = self.memory.compact["addresses"].shape[0], self.memory.compact["bases"]
        stored = bases.size + recalls * len(subset) * len(bases)
        ipc = -(-stored // (len(subset) * math.prod(self.data.image_shape)))
        classes = tuple((self.settings.only_classes or range(self.data.num_classes))[k] for k in subset)
        place = self.place / "recondensed" / "+".join(map(str, subset))
        own = {"ipc": ipc, "recalls": recalls, "only_classes": classes, "workdir": str(place), "eval_at": (0,)}
        own["resume"] = (place / "config.json").is_file()
        if self.settings.minutes:
            reached = max(row["iteration"] for row in RunDirectory(self.place).history())
            own |= {"minutes": None, "eval_minutes": (), "iterations": reached}
        make(self.settings.replace(**own), self.stop)
        return dc.load_condensed(place / "condensed.npz").batch


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
