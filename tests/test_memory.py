"""Addressable memories recall what they should, for any label, and take the bytes that they say."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc

DATA = small_data()


def real(count=4):
    return DATA.train.sample(jax.random.key(0), count)


def test_identity_addresses_give_back_the_bases():
    memory = dc.addressable_memory(num_bases=3, recalls=1)
    syn = memory.init(jax.random.key(0), real()) | {"addresses": jnp.eye(3)[None]}
    batch = memory.decode(syn)
    chex.assert_trees_all_close(batch.image[:, 0], syn["bases"])
    chex.assert_trees_all_equal(batch.label[:, 0], jnp.eye(3))


def test_what_is_decoded_is_recalled_by_one_hot_labels():
    memory = dc.addressable_memory(num_bases=5, recalls=4, downsample=2)
    syn = memory.init(jax.random.key(0), real())
    assert {name: x.shape for name, x in syn.items()} == {"bases": (5, 4, 4, 1), "addresses": (4, 3, 5)}
    image = memory.decode(syn).image
    chex.assert_shape(image, (3, 4, 8, 8, 1))
    chex.assert_trees_all_close(dc.recall(syn, jnp.eye(3), 2), image)


def test_a_mixed_label_recalls_the_same_mixture_of_images():
    memory = dc.addressable_memory(num_bases=5, recalls=4, downsample=2)
    syn = memory.init(jax.random.key(0), real())
    label = jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    expected = jnp.einsum("bk,krhwc->brhwc", label, memory.decode(syn).image)
    chex.assert_trees_all_close(dc.recall(syn, label, 2), expected, atol=1e-6)
    chex.assert_shape(dc.recall(syn, label[0], 2), (4, 8, 8, 1))


def test_a_start_of_images_makes_recalls_that_look_like_their_class():
    memory = dc.addressable_memory(num_bases=6, recalls=4, start=dc.from_real)
    syn = memory.init(jax.random.key(0), real())
    chex.assert_trees_all_close(syn["bases"], real().image[:, :2].swapaxes(0, 1).reshape(6, 8, 8, 1), atol=1e-5)
    image, own = memory.decode(syn).image.reshape(3, 4, -1), real().image[:, :2].reshape(3, 2, -1)
    distance = jnp.square(jnp.expand_dims(image, (2, 3)) - jnp.expand_dims(own, (0, 1))).sum(-1).min(-1)  # [K, r, K]
    assert (distance.argmin(-1) == jnp.arange(3)[:, None]).all()


@pytest.mark.parametrize(("num_bases", "of_classes"), [(5, [0, 1, 2]), (7, [0, 1, 2]), (2, [0, 1, 0])])
def test_recalls_begin_at_bases_of_their_class_also_where_classes_have_not_as_many(num_bases, of_classes):
    memory = dc.addressable_memory(num_bases=num_bases, recalls=6, start=dc.from_real)
    addresses = np.asarray(memory.init(jax.random.key(0), real())["addresses"])
    assert (addresses.argmax(-1) % 3 == of_classes).all()
    of_first = {*addresses[:, 0].argmax(-1).tolist()}
    assert of_first == {j for j in range(num_bases) if j % 3 == 0}  # all of them in turn


def test_values_are_drawn_as_published():
    memory = dc.addressable_memory(num_bases=50, recalls=40)
    syn = memory.init(jax.random.key(0), real())
    for leaf, fans in (("bases", (50 + 1) * 64), ("addresses", (40 + 3) * 50)):
        bound = (6 / fans) ** 0.5
        assert np.abs(syn[leaf]).max() == pytest.approx(bound, rel=0.01)
        assert np.std(syn[leaf]) == pytest.approx(bound / 3**0.5, rel=0.03)


# (shape, classes, images per class, bases, downsampling) -> recalls, as the published program counts them
PUBLISHED = [
    ((32, 32, 3), 10, 1, 16, 2, 115),
    ((32, 32, 3), 10, 1, 8, 2, 307),
    ((32, 32, 3), 10, 10, 64, 1, 172),
    ((32, 32, 3), 10, 50, 256, 2, 523),
    ((32, 32, 3), 100, 1, 64, 1, 17),
    ((32, 32, 3), 100, 10, 256, 2, 112),
    ((28, 28, 1), 10, 1, 16, 2, 29),
]


@pytest.mark.parametrize(("shape", "classes", "ipc", "bases", "downsample", "expected"), PUBLISHED)
def test_the_recalls_that_a_budget_holds(shape, classes, ipc, bases, downsample, expected):
    recalls = dc.recalls_within(ipc, classes, shape, num_bases=bases, downsample=downsample)
    assert recalls == expected
    stored = bases * np.prod(shape) / downsample**2 + recalls * bases * classes
    assert stored <= ipc * classes * np.prod(shape) < stored + bases * classes


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dc.recalls_within(1, 3, (8, 8, 1), num_bases=3), "leaves no place for addresses"),
        (lambda: dc.addressable_memory(0, 1), "at least one base"),
        (lambda: dc.addressable_memory(1, 1, 3).init(jax.random.key(0), real()), "8 x 8 cannot be learned at 1/3"),
        (
            lambda: dc.recall(dc.addressable_memory(2, 1).init(jax.random.key(0), real()), jnp.ones(4)),
            r"3 classes.*\[4\]",
        ),
        (
            lambda: dc.recall(dc.addressable_memory(2, 1).init(jax.random.key(0), real()), jnp.ones(())),
            r"3 classes.*\[\]",
        ),
        (lambda: dc.soft_labels(dc.pixels(1), 1.0), "between 0 and 1"),
        (
            lambda: dc.soft_labels(dc.pixels(1), 0.3).init(jax.random.key(0), real()),
            "more than 1/3 for their own, not 0.3",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(dc.InputError, match=words):
        make()


@pytest.mark.parametrize("name", ["pixels", "memory"])
def test_labels_begin_near_the_class_and_are_learned_beside_what_is_learned_already(name):
    inner = {"pixels": dc.pixels(2), "memory": dc.addressable_memory(4, 5)}[name]
    labelled = dc.soft_labels(inner, certainty=0.7)
    syn = labelled.init(jax.random.key(0), real())
    batch = labelled.decode(syn)
    chex.assert_trees_all_close(batch.image, inner.decode(inner.init(jax.random.key(0), real())).image)
    expected = 0.7 * jnp.eye(3) + 0.15 * (1 - jnp.eye(3))
    chex.assert_trees_all_close(batch.label, jnp.broadcast_to(expected[:, None], batch.label.shape), atol=1e-6)
    moved = labelled.decode(syn | {"label_logits": syn["label_logits"] + jnp.array([[[0.0, 1.0, 2.0]]])})
    chex.assert_trees_all_close(moved.label.sum(-1), jnp.ones(batch.label.shape[:2]), atol=1e-6)
    assert (moved.label[..., 2] > batch.label[..., 2]).all()


def grown(known, **how):
    return dc.grown_memory(**{"num_bases": 2, "recalls": 4, "downsample": 2, **how}, known=known)


def test_a_memory_begins_to_grow_as_one_of_its_own_bases():
    known = jnp.ones((5, 4, 4, 1))
    memory, alone = grown(known), dc.addressable_memory(2, 4, 2)
    syn = memory.init(jax.random.key(0), real())
    assert {name: x.shape for name, x in syn.items()} == {
        "known": (5, 4, 4, 1),
        "bases": (2, 4, 4, 1),
        "addresses": (4, 3, 7),
    }
    expected = alone.decode(alone.init(jax.random.key(0), real()))
    chex.assert_trees_all_close(memory.decode(syn), expected, atol=1e-6)


def test_a_memory_that_grows_recalls_from_the_earlier_bases_and_does_not_move_them():
    known = jnp.arange(3.0)[:, None, None, None] * jnp.ones((3, 8, 8, 1))
    memory = grown(known, downsample=1)
    syn = memory.init(jax.random.key(0), real())
    third = syn | {"addresses": jnp.broadcast_to(jnp.array([0, 0, 1.0, 0, 0]), (4, 3, 5))}
    chex.assert_trees_all_close(memory.decode(third).image, jnp.full((3, 4, 8, 8, 1), 2.0))
    gradient = jax.grad(lambda syn: memory.decode(syn).image[:, :, 0].sum())(syn)
    assert not gradient["known"].any()
    assert gradient["addresses"][..., 1:3].any()


def test_addresses_into_earlier_bases_take_their_place_in_the_bytes():
    size = {"num_bases": 4, "downsample": 2}
    recalls = dc.recalls_within(10, 2, (8, 8, 1), **size, known=12)
    stored = 4 * 16 + recalls * 2 * 16
    assert stored <= 10 * 2 * 64 < stored + 2 * 16


@pytest.mark.parametrize("known", [None, jnp.ones((3, 8, 8, 1))])
def test_a_memory_grows_from_bases_of_its_own_shape_alone(known):
    with pytest.raises(dc.InputError, match="grows from bases of"):
        grown(known).init(jax.random.key(0), real())
