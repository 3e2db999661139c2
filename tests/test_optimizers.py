"""What outer optimizers need beside optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dcjax as dc
from dcjax.optimizers import by_name, keep_within, per_class_sgd


def test_values_stop_at_the_bounds():
    optimizer = optax.chain(optax.sgd(1.0), keep_within(0, 1))
    params = {"image": jnp.array([0.2, 0.5, 0.9])}
    updates, _ = optimizer.update({"image": jnp.array([0.5, 0.1, -0.5])}, optimizer.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["image"], [0.0, 0.4, 1.0], atol=1e-7)


def descended(optimizer, params, slopes):
    """The parameters after a step for each of the slopes."""
    state = optimizer.init(params)
    for slope in slopes:
        gradient = jax.tree.map(lambda x, slope=slope: jnp.full_like(x, slope), params)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


LEARNED = dc.Learned({"image": jnp.array([0.2, 0.5, 0.9]), "weight": jnp.array([-1.7])}, {"rate": jnp.array(3.0)})
OF_IMAGES = optax.chain(optax.sgd(0.1, momentum=0.5), keep_within(0, 1))


def test_every_leaf_has_a_rate_and_bounds_of_its_own():
    optimizers = {"image": OF_IMAGES, "weight": optax.adam(0.3), "rate": optax.sgd(0.01, momentum=0.9)}
    slopes = (2.0, -1.0, 5.0)
    together = descended(by_name(optimizers), LEARNED, slopes)
    for name, x in {**LEARNED.syn, **LEARNED.hyper}.items():
        alone = descended(optimizers[name], x, slopes)
        np.testing.assert_allclose({**together.syn, **together.hyper}[name], alone, rtol=1e-6)
        assert not np.allclose(alone, x)


def test_the_bounds_of_images_hold_nothing_else():
    still = optax.sgd(0.0)
    after = descended(by_name({"image": OF_IMAGES, "weight": still, "rate": still}), LEARNED, (-100.0, -100.0))
    np.testing.assert_array_equal(after.syn["image"], 1.0)
    assert after.hyper["rate"] == 3
    np.testing.assert_array_equal(after.syn["weight"], LEARNED.syn["weight"])


def test_a_leaf_goes_by_the_outermost_name_that_is_known():
    learned = {"memory": {"image": jnp.zeros(()), "address": jnp.zeros(())}, "image": {"memory": jnp.zeros(())}}
    by_branch = descended(by_name({"memory": optax.sgd(1.0), "image": optax.sgd(2.0)}), learned, (-1.0,))
    assert by_branch == {"memory": {"image": 1.0, "address": 1.0}, "image": {"memory": 2.0}}
    by_leaf = descended(by_name({"address": optax.sgd(1.0), "image": optax.sgd(2.0)}), learned, (-1.0,))
    assert by_leaf == {"memory": {"image": 2.0, "address": 1.0}, "image": {"memory": 2.0}}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["image", "rate"],
            r"syn\['weight'\] is learned, but the optimizers are for image, rate: add one by its name\.$",
        ),
        (["image", "rate", "weight", "label"], r"for label, but nothing that is learned has that name\.$"),
        ([], r"syn\['image'\] is learned, but the optimizers are for nothing"),
    ],
)
def test_names_that_are_missing_or_too_many_are_one_sentence(names, message):
    with pytest.raises(dc.InputError, match=message) as caught:
        by_name({name: optax.sgd(0.1) for name in names}).init(LEARNED)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_a_sweep_in_one_step_is_a_step_for_each_class(momentum):
    """The published loop: one optimizer step per class, in which the other classes move on by their momentum alone."""
    classes, rate, sweeps = 4, 0.1, 6
    slope = jax.grad(lambda image, t: jnp.sum(jnp.cos(image + t)))  # another loss in every sweep
    start = jax.random.normal(jax.random.key(0), (classes, 5))

    image, velocity, seen = start, jnp.zeros_like(start), []
    for t in range(sweeps):
        seen.append([])
        for k in range(classes):
            seen[t].append(image[k])  # where class k's gradient is taken
            velocity = momentum * velocity + jnp.zeros_like(image).at[k].set(slope(image[k], t))
            image = image - rate * velocity

    optimizer = per_class_sgd(rate, momentum, classes)
    ours, state = start, optimizer.init(start)
    for t in range(sweeps):
        np.testing.assert_allclose(ours, jnp.stack(seen[t]), atol=2e-5)
        updates, state = optimizer.update(jax.vmap(lambda row, t=t: slope(row, t))(ours), state)
        ours = optax.apply_updates(ours, updates)
