"""Coresets are real images chosen to stand for a class, the baselines that condensed images are compared with.

A selection takes what is known of the N images of one class and gives the indices of `count` of them. What is known comes from
one network trained on the whole training set: its features [N, D], or how often it forgot each image [N]. `select` applies one to
every class of a split.

    observed = study(net, optimizer)
    memory = observed.init(key, data.train)                    # then, for every epoch,
    memory = observed.epoch(epoch_key, memory, data.train)
    known = features(net, memory.params, data.train)           # [T, D]; or forgetting_events(memory), [T]
    batch = data.train.take(select(herding, known, data.train.counts, ipc=10))
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from dcjax.base import Array, InputError, Key, Network, Params
from dcjax.data import Split
from dcjax.normalisation import normalised_bytes
from dcjax.settling import on_training_set
from dcjax.training import batch_gradient, cross_entropy, map_images, pad_to, shuffled

Selection = Callable[[np.ndarray, int], np.ndarray]  # (what is known of one class [N, ...], count) -> indices [count]


def select(selection: Selection, known: np.ndarray, counts: tuple[int, ...], ipc: int) -> np.ndarray:
    """Chooses `ipc` images of every class: indices [K, ipc] into a split whose classes have `counts` images.

    Args:
        selection: chooses among the images of one class.
        known: what is known of every image, [T, ...], in the split's order.
        counts: images of each class.
        ipc: images to choose of each class.
    """
    if ipc < 1:
        raise InputError(f"ipc is the number of images per class and at least 1, not {ipc}.")
    if ipc > min(counts):
        raise InputError(f"Cannot choose {ipc} images of every class: the smallest class has {min(counts)}, lower ipc.")
    starts = np.cumsum(counts) - counts
    known = np.asarray(known)
    return np.stack([start + selection(known[start : start + n], ipc) for start, n in zip(starts, counts)])


def herding(features: np.ndarray, count: int) -> np.ndarray:
    """Chooses greedily what keeps the mean nearest to the class mean (Welling 2009; as in iCaRL, arXiv:1611.07725).

    The t-th is  argmin_i | mean(features) - (features_i + sum of those chosen) / t |, each image at most once.
    """
    mean = features.mean(0)
    total = np.zeros_like(mean)
    chosen = []
    for t in range(1, count + 1):
        distance = np.linalg.norm(mean - (features + total) / t, axis=1)
        distance[chosen] = np.inf
        chosen.append(int(distance.argmin()))
        total += features[chosen[-1]]
    return np.array(chosen)


def k_center(features: np.ndarray, count: int) -> np.ndarray:
    """Adds greedily the image farthest from all that are chosen, beginning nearest the mean (Sener & Savarese, arXiv:1708.00489)."""
    chosen = [int(np.linalg.norm(features - features.mean(0), axis=1).argmin())]
    nearest = np.full(len(features), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
        nearest[chosen] = -1  # an image that equals a chosen one is still another image
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def most_forgotten(events: np.ndarray, count: int) -> np.ndarray:
    """Takes the images with the most forgetting events, the first of them where several have as many."""
    return np.argsort(-events, kind="stable")[:count]


def k_means(seed: int) -> Selection:
    """Takes for each k-means cluster the image nearest its centre that is not chosen yet (DC-BENCH's, arXiv:2207.09639)."""

    def selection(features, count):
        from sklearn.cluster import KMeans

        centres = KMeans(count, n_init=1, random_state=seed).fit(features).cluster_centers_
        chosen = []
        for centre in centres:
            distance = np.linalg.norm(features - centre, axis=1)
            distance[chosen] = np.inf
            chosen.append(int(distance.argmin()))
        return np.array(chosen)

    return selection


def features(net: Network, params: Params, split: Split) -> Array:
    """Computes what the classifier sees of every image of a split, [T, D]; a network with batch norm is settled on the split first."""
    if not net.per_image:
        params = on_training_set(jax.random.key(0), net, params, split.batch(), batch_size=256)

    def of_some(shared, image):
        params, normalisation = shared
        return net.features(params, normalised_bytes(normalisation, image))

    return map_images(of_some, (params, split.normalisation), split.image)


class Memory(NamedTuple):
    """Holds a network in training on a split of T images, and what it remembered of each when it last saw it."""

    params: Params
    opt_state: Any
    correct: Array  # [T] bool: classified correctly the last time
    learned: Array  # [T] bool: ever classified correctly
    events: Array  # [T] int32: how often it was correct the last time and then was not


class Study(NamedTuple):
    """Trains a network on a whole split, epoch by epoch, and keeps count of what it forgets."""

    init: Callable[[Key, Split], Memory]
    epoch: Callable[[Key, Memory, Split], Memory]


def study(net: Network, optimizer: optax.GradientTransformation, *, batch_size: int = 256) -> Study:
    """Makes a training that counts forgetting events (Toneva et al. 2019, arXiv:1812.05159).

    An image is looked at when its mini-batch comes up, before the update: it is forgotten if it was classified correctly the last
    time and is not now.
    """
    loss = cross_entropy(net)

    def init(key, split):
        params, never = net.init(key), jnp.zeros(split.image.shape[0], bool)
        return Memory(params, optimizer.init(params), never, never, never.astype(jnp.int32))

    def step(memory, inputs):
        batch, indices = inputs
        predicted = _predicted(net, memory.params, batch)
        correct = predicted == batch.label.argmax(-1)
        forgotten = memory.correct[indices] & ~correct
        updates, opt_state = optimizer.update(
            batch_gradient(loss, memory.params, batch), memory.opt_state, memory.params
        )
        return Memory(
            optax.apply_updates(memory.params, updates),
            opt_state,
            memory.correct.at[indices].set(correct),
            memory.learned.at[indices].max(correct),
            memory.events.at[indices].add(forgotten),
        )

    def epoch(key, memory, split):
        size = split.image.shape[0]
        order = shuffled(key, size, batch_size)
        padded = pad_to(split.batch(), order.size)

        def body(memory, indices):  # indices from `size` on are padding: JAX drops what is written there
            return step(memory, (jax.tree.map(lambda x: x[indices], padded), indices)), None

        return lax.scan(body, memory, order)[0]

    return Study(init, epoch)


def _predicted(net, params, batch):
    if not net.per_image:
        return net.apply(params, batch.image, batch.label.any(-1)).argmax(-1)
    return map_images(lambda params, image: net.apply(params, image).argmax(-1), params, batch.image)


def forgetting_events(memory: Memory) -> Array:
    """Gives the events of every image, [T]; an image that was never classified correctly counts one more than any other."""
    return jnp.where(memory.learned, memory.events, memory.events.max() + 1)
