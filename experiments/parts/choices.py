"""Maps the names that flags take to functions of the library."""

import functools
from collections.abc import Callable, Collection
from typing import Literal

import dcjax as dc
from dcjax.base import Augmentation
from dcjax.distances import of_convolutions
from experiments.parts.values import flag

DISTANCES = {
    "filterwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
    "convolution_squared_error": of_convolutions(dc.distances.squared_error),
    "convolution_absolute_error": of_convolutions(dc.distances.absolute_error),
}
AUGMENTS = {
    "none": dc.augment.identity,
    "dc_digits": dc.augment.dc_digits(),
    "dc_crop_noise": dc.augment.dc_crop_noise(),
    "dsa": dc.augment.dsa(),
    "dsa_digits": dc.augment.dsa_digits(),
    "idc": dc.augment.idc(),
    "idc_digits": dc.augment.idc_digits(),
    "idc_digits_cutout": dc.augment.idc_digits_cutout(),
    "color_crop": dc.augment.color_crop(),
    "color_crop_cutout": dc.augment.color_crop_cutout(),
}
# Augmentations that draw or compute some things once for all images of a mini-batch, as the published programs do.
BATCHWISE = {
    "dc_digits_batch": dc.augment.dc_digits_batch(),
    "dc_crop_noise_batch": dc.augment.dc_crop_noise_batch(),
    "dsa_batch": dc.augment.dsa_batch(),
    "dsa_digits_batch": dc.augment.dsa_batch(without=(dc.augment.flip,)),
    "idc_batch": dc.augment.idc_batch(),
    "idc_digits_batch": dc.augment.idc_digits_batch(),
    "idc_digits_cutout_batch": dc.augment.idc_digits_cutout_batch(),
}
DSA = {operator.__name__: operator for operator in dc.augment.DSA_OPERATORS}
# Some of DSA's operators, of which one is drawn; none stands for the augmentation's own.
Strategy = tuple[Literal[(*DSA,)], ...]
MIXES = {"none": dc.augment.no_mixing, "cutmix": dc.augment.cutmix()}


def strategic(name: str, strategy: Collection[str]) -> str:
    """Names an augmentation of `AUGMENTS` or `BATCHWISE`, or DSA's of some operators alone."""
    kind = "dsa_batch" if name in BATCHWISE else "dsa"
    return f"{kind}:{'+'.join(operator for operator in DSA if operator in strategy)}" if strategy else name


@functools.cache
def augmentation(name: str) -> Augmentation:
    """Gives the augmentation of a name that `strategic` gives."""
    _, is_strategy, operators = name.partition(":")
    return dc.augment.dsa(without=_left_out(operators)) if is_strategy else AUGMENTS[name]


def _left_out(operators):
    return [operator for text, operator in DSA.items() if text not in operators.split("+")]


@functools.cache
def augmenting(name: str, mix: str) -> dict[str, Callable]:
    """Gives what augments the images of training steps and what mixes them, by the keywords of training.

    Args:
        name: as `strategic` gives it; one of `BATCHWISE` is a mixing, which comes before the other.
        mix: of `MIXES`.
    """
    kind, is_strategy, operators = name.partition(":")
    if kind not in BATCHWISE:
        return {"augment": augmentation(name), "mix": MIXES[mix]}
    first = dc.augment.dsa_batch(without=_left_out(operators)) if is_strategy else BATCHWISE[name]
    return {"augment": dc.augment.identity, "mix": dc.augment.chain((first, MIXES[mix]))}


def idle_strategy(augment: str, strategy: str, name: str) -> dict[str, str]:
    """Says why the setting `strategy` has no effect, if the setting `augment` names an augmentation that is not DSA's."""
    return {} if name.removesuffix("_batch") in ("dsa", "dsa_digits") else {strategy: f"{flag(augment)} {name}"}
