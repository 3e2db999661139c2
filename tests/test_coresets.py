"""Coresets equal the obvious programs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import small_data, small_net

import dcjax as dc
from dcjax import coresets
from dcjax.training import cross_entropy, shuffled

FEATURES = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
SELECTIONS = {
    "herding": coresets.herding,
    "k_center": coresets.k_center,
    "k_means": coresets.k_means(0),
    "most_forgotten": lambda known, count: coresets.most_forgotten(known[:, 0], count),
}


def test_herding_takes_at_every_step_what_brings_the_mean_nearest():
    chosen = []
    for _ in range(5):
        rest = [i for i in range(9) if i not in chosen]
        gaps = [np.linalg.norm(FEATURES[[*chosen, i]].mean(0) - FEATURES.mean(0)) for i in rest]
        chosen.append(rest[int(np.argmin(gaps))])
    assert coresets.herding(FEATURES, 5).tolist() == chosen


def test_k_center_takes_the_image_farthest_from_all_centres():
    chosen = [int(np.argmin(np.linalg.norm(FEATURES - FEATURES.mean(0), axis=1)))]
    for _ in range(4):
        gaps = [min(np.linalg.norm(FEATURES[i] - FEATURES[c]) for c in chosen) for i in range(9)]
        chosen.append(int(np.argmax(gaps)))
    assert coresets.k_center(FEATURES, 5).tolist() == chosen


def test_k_center_covers_within_twice_the_best_radius():
    def radius(centres):
        return np.linalg.norm(FEATURES[:, None] - FEATURES[None, list(centres)], axis=2).min(1).max()

    best = min(radius(centres) for centres in itertools.combinations(range(9), 3))
    assert radius(coresets.k_center(FEATURES, 3)) <= 2 * best


def test_k_means_takes_an_image_of_every_cluster():
    clusters = np.repeat([[0, 0], [9, 0], [0, 9]], 4, axis=0) + np.random.default_rng(1).normal(size=(12, 2)) / 10
    assert sorted(coresets.k_means(0)(clusters, 3) // 4) == [0, 1, 2]


def test_the_most_forgotten_come_first():
    assert coresets.most_forgotten(np.array([1, 5, 0, 5, 2]), 3).tolist() == [1, 3, 4]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("name", SELECTIONS)
def test_every_class_gives_distinct_images_of_its_own(name):
    counts = (4, 7, 5)
    known = np.repeat(np.random.default_rng(2).normal(size=(8, 3)), 2, axis=0)  # some images are alike
    chosen = coresets.select(SELECTIONS[name], known, counts, 4)
    starts = np.cumsum(counts) - counts
    for row, start, count in zip(chosen, starts, counts):
        assert len(set(row.tolist())) == 4
        assert start <= row.min()
        assert row.max() < start + count


@pytest.mark.parametrize(
    ("ipc", "message"),
    [(5, "Cannot choose 5 images of every class: the smallest class has 4"), (0, "at least 1, not 0")],
)
def test_more_images_than_there_are_is_refused(ipc, message):
    with pytest.raises(dc.InputError, match=message):
        coresets.select(coresets.herding, FEATURES, (4, 5), ipc)


def test_forgetting_counts_equal_a_hand_written_loop():
    epochs, batch_size = 4, 5
    noise = np.random.default_rng(3).uniform(size=(18, 8, 8, 1))  # without a rule, what is learned is forgotten
    data = dc.data.from_arrays((noise, np.repeat([0, 1, 2], 6)))
    net = small_net(data, width=4)
    study = coresets.study(net, optax.sgd(1.0), batch_size=batch_size)
    memory = first = jax.jit(study.init)(jax.random.key(0), data.train)
    keys = [jax.random.key(t) for t in range(epochs)]
    epoch = jax.jit(study.epoch)
    for key in keys:
        memory = epoch(key, memory, data.train)

    everything, total = data.train.batch(), len(data.train.label)
    gradient, apply = jax.jit(jax.grad(cross_entropy(net))), jax.jit(net.apply)
    params = first.params
    last, learned, events = np.zeros(total, bool), np.zeros(total, bool), np.zeros(total, int)
    for t in range(epochs):
        order = np.asarray(shuffled(jax.random.key(t), total, batch_size)).ravel()[:total]
        for start in range(0, total, batch_size):
            rows = order[start : start + batch_size]
            batch = dc.Batch(everything.image[rows], everything.label[rows])
            correct = np.asarray(apply(params, batch.image).argmax(-1)) == data.train.label[rows]
            for i, is_correct in zip(rows, correct):
                events[i] += last[i] and not is_correct
                last[i] = is_correct
                learned[i] |= is_correct
            params = jax.tree.map(lambda p, g: p - g, params, gradient(params, batch))
    assert events.sum() > 3
    np.testing.assert_array_equal(memory.events, events)
    np.testing.assert_array_equal(memory.learned, learned)


def test_what_was_never_learned_counts_most():
    memory = coresets.Memory((), (), None, jnp.array([True, False, True]), jnp.array([2, 0, 1]))
    assert coresets.forgetting_events(memory).tolist() == [2, 3, 1]


def test_features_are_those_of_the_network():
    data = small_data()
    net = small_net(data, width=4)
    params = jax.jit(net.init)(jax.random.key(0))
    expected = jax.jit(net.features)(params, data.train.batch().image)
    np.testing.assert_allclose(coresets.features(net, params, data.train), expected, atol=1e-5)
