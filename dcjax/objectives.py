"""What is compared: pairs of pure functions whose loss is differentiated in the condensed data."""

from collections.abc import Callable

import jax
from jax import lax

from dcjax.augment import identity
from dcjax.base import Array, Augmentation, Batch, Distance, Network, Objective
from dcjax.chunks import map_in_chunks
from dcjax.distances import filterwise_cosine
from dcjax.training import batch_gradient, cross_entropy


def gradient_matching(
    net: Network, *, distance: Distance = filterwise_cosine, augment: Augmentation = identity
) -> Objective:
    """DC's objective: at one point in weight space, both sets should pull the network the same way (Zhao et al. 2021).

        sum over classes k of  distance(grad cross_entropy(params, syn_k), grad cross_entropy(params, real_k))

    Its gradient flows to the condensed data alone: the network and the real gradients are constants.

    Args:
        net: the network whose gradients are compared.
        distance: `(gradient of syn, gradient of real) -> scalar`; the paper's by default.
        augment: siamese: one draw per class, applied to every image of both sets (DSA).

    Returns:
        An objective without hyperparameters. Its metric `loss` is the mean over classes.
    """
    loss = cross_entropy(net)

    def class_loss(syn, params, key, real):
        augmented = jax.vmap(augment(key))
        target = batch_gradient(loss, params, real._replace(image=augmented(real.image)))
        return distance(jax.grad(loss)(params, syn._replace(image=augmented(syn.image))), target)

    total = _sum_over_classes(class_loss)

    def matching(key, hyper, point, syn, real):
        del hyper
        num_classes = syn.image.shape[0]
        value = total(syn, *lax.stop_gradient((point.params, jax.random.split(key, num_classes), real)))
        return value, {"loss": value / num_classes}

    return Objective(init=lambda: (), loss=matching)


def _sum_over_classes(class_loss: Callable[..., Array]) -> Callable[..., Array]:
    """`sum_k class_loss(syn_k, params, key_k, real_k)`, with the gradient in `syn` computed along with the value.

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
