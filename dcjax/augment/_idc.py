"""Combines DSA's operators as IDC does: all of some, and one of the rest (Kim et al., ICML 2022, arXiv:2205.14959)."""

from dcjax.augment._combinators import chain, one_of
from dcjax.augment._dsa import color, crop, cutout, flip, rotate, scale
from dcjax.base import Augmentation


def idc() -> Augmentation:
    """Applies IDC's evaluation: `flip` and `color`, then one of `crop`, `scale` and `rotate`; CutMix takes the place of `cutout`."""
    return chain((flip(), idc_digits()))


def idc_digits() -> Augmentation:
    """Applies `idc` without `flip`, because a mirrored digit is no digit."""
    return chain((color(), one_of((crop(), scale(), rotate()))))


def idc_digits_cutout() -> Augmentation:
    """Applies `idc_digits` with `cutout` at its end, for where CutMix is left out."""
    return chain((idc_digits(), cutout()))


def color_crop() -> Augmentation:
    """Applies `color` and `crop`, which IDC trains its networks with."""
    return chain((color(), crop()))


def color_crop_cutout() -> Augmentation:
    """Applies `color`, `crop` and `cutout`, which IDC compares gradients under."""
    return chain((color(), crop(), cutout()))
