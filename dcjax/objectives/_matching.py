"""Compares the two sets class by class: by gradients (DC, DSA, IDC) or by mean features (DM)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.augment import identity
from dcjax.base import Array, Augmentation, Batch, Distance, Network, Objective, Params, check_grouped
from dcjax.chunks import map_in_chunks
from dcjax.distances import filterwise_cosine
from dcjax.packing import Packing, as_they_are
from dcjax.settling import Settling, on_real
from dcjax.training import batch_gradient, cross_entropy, map_images

_SETTLE = on_real()


def gradient_matching(
    net: Network,
    *,
    distance: Distance = filterwise_cosine,
    augment: Augmentation = identity,
    settle: Settling = _SETTLE,
    packing: Packing = as_they_are,
) -> Objective:
    """Compares, class by class, how the two sets pull a network at one point in weight space (DC's objective).

        sum over classes k of  distance(grad cross_entropy(params, syn_k), grad cross_entropy(params, real_k))

    Its gradient flows to the condensed data alone: the network and the real gradients are constants. Zhao, Mopuri & Bilen, Dataset
    Condensation with Gradient Matching, ICLR 2021 (arXiv:2006.05929).

    Args:
        net: the network whose gradients are compared.
        distance: `(gradient of syn, gradient of real) -> scalar`; the paper's by default.
        augment: the augmentation; one draw per class is applied to every image of both sets (siamese, DSA's).
        settle: freezes the statistics of a network with batch norm, on the real images of the step as they are without augmentation.
        packing: how real images wait until their class is compared; `packing.as_bytes` for many or large ones.

    Returns:
        An objective without hyperparameters. Its metric `loss` is the mean over classes.
    """
    loss = cross_entropy(net.settled)

    def class_loss(params, syn, real):
        return distance(jax.grad(loss)(params, syn), batch_gradient(loss, params, real))

    return _class_by_class(class_loss, augment, functools.partial(settle, net), packing)


def distribution_matching(
    net: Network,
    *,
    augment: Augmentation = identity,
    settle: Settling = _SETTLE,
    packing: Packing = as_they_are,
) -> Objective:
    """Compares, class by class, the two sets' means in the network's feature space (DM's objective).

        sum over classes k of  | mean features(params, syn_k) - mean features(params, real_k) |^2

    It takes no part of a label into account: learned ones (`soft_labels`) stay as they start. Rows without a label are padding.

    Zhao & Bilen, Dataset Condensation with Distribution Matching, WACV 2023 (arXiv:2110.04181).

    Args:
        net: its `features`, flattened, are compared; DM takes a network that was never trained (`fresh`).
        augment: the augmentation; one draw per class is applied to every image of both sets.
        settle: freezes the statistics of a network with batch norm, as for `gradient_matching`.
        packing: how real images wait until their class is compared, as for `gradient_matching`.

    Returns:
        An objective without hyperparameters. Its metric `loss` is the mean over classes.
    """

    def class_loss(params, syn, real):
        target = map_images(net.features, params, real.image).mean(0)
        present = syn.label.any(-1, keepdims=True)
        mean = (present * net.features(params, syn.image)).sum(0) / jnp.maximum(present.sum(), 1)
        return jnp.square(mean - target).sum()

    return _class_by_class(class_loss, augment, functools.partial(settle, net), packing)


def _class_by_class(
    class_loss: Callable[[Params, Batch, Batch], Array],
    augment: Augmentation,
    settle: Callable[[Params, Batch], Params],
    packing: Packing,
) -> Objective:
    """Makes an objective that is a sum of `class_loss(params, syn_k, real_k)` at settled weights, both under one draw of `augment`."""

    def of_class(syn, params, key, real):
        augmented, real = jax.vmap(augment(key)), real._replace(image=packing.unpack(real.image))
        return class_loss(params, *(batch._replace(image=augmented(batch.image)) for batch in (syn, real)))

    total = _sum_over_classes(of_class)

    def loss(key, hyper, point, syn, real):
        del hyper
        check_grouped(syn, real)
        num_classes = syn.image.shape[0]
        params = settle(point.params, real)
        waiting = lax.stop_gradient(real._replace(image=packing.pack(real.image)))
        value = total(syn, *lax.stop_gradient((params, jax.random.split(key, num_classes))), waiting)
        return value, {"loss": value / num_classes}

    return Objective(init=lambda: (), loss=loss)


def _sum_over_classes(class_loss: Callable[..., Array]) -> Callable[..., Array]:
    """Computes `sum_k class_loss(syn_k, params, key_k, real_k)`, the gradient in `syn` along with the value.

    Classes are separate, so each one's gradient is finished before the next begins: no intermediate of a class outlives
    it, and the backward pass only scales what is there.
    """

    def over_classes(function, syn, params, keys, real):
        return map_in_chunks(lambda params, syn, *rest: function(syn, params, *rest), params, syn, keys, real)

    @jax.custom_vjp
    def total(syn: Batch, params, keys, real: Batch):
        return over_classes(class_loss, syn, params, keys, real).sum()

    def forward(*args):
        values, gradient = over_classes(jax.value_and_grad(class_loss), *args)
        return values.sum(), gradient

    def backward(gradient, cotangent):
        return jax.tree.map(lambda g: cotangent * g, gradient), None, None, None

    total.defvjp(forward, backward)
    return total
