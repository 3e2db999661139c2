"""Learns labels beside images (Sucholutsky & Schonlau, arXiv:1910.02551; Bohdal et al., arXiv:2006.08572)."""

import jax
import jax.numpy as jnp

from dcjax.base import InputError, Parameterization

LOGITS = "label_logits"


def soft_labels(parameterization: Parameterization, certainty: float = 0.9) -> Parameterization:
    """Learns a label for every image that another parameterization decodes, as logits [K, M, K] beside what it learns itself.

    Args:
        parameterization: the one to wrap, whose labels are only what the learned ones begin as; it learns a dict.
        certainty: probability of an image's own class to begin with, between 1/K and 1.
    """
    if not 0 < certainty < 1:
        raise InputError(f"The certainty of labels is a probability between 0 and 1, not {certainty}.")

    def init(key, real):
        syn = parameterization.init(key, real)
        label = parameterization.decode(syn).label
        num_classes = label.shape[-1]
        if certainty * num_classes <= 1:
            raise InputError(
                f"Labels of {num_classes} classes begin with a certainty of more than 1/{num_classes} for their own, not {certainty}."
            )
        gap = jnp.log(certainty * (num_classes - 1) / (1 - certainty))
        return {**syn, LOGITS: gap * label}

    def decode(syn):
        images = {name: leaf for name, leaf in syn.items() if name != LOGITS}
        return parameterization.decode(images)._replace(label=jax.nn.softmax(syn[LOGITS]))

    return Parameterization(init, decode)
