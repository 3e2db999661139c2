"""Makes images again of the parameters that a file keeps, by a decoder that the file names and the library knows.

Code is never loaded from a file. A parameterization of one's own is added by its name:

    dcjax.artifact.DECODERS["mine"] = mine                     # called with the arguments that the file notes
"""

import math
import reprlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from dcjax.base import Batch, InputError, Parameterization, Syn
from dcjax.files import first_line
from dcjax.normalisation import Normalisation
from dcjax.parameterizations import (
    addressable_memory,
    bounded_formation,
    grown_memory,
    hallucinated,
    in_pixel_space,
    multi_formation,
    multi_scale_formation,
    pixels,
    soft_labels,
)

DECODERS: dict[str, Callable[..., Parameterization]] = {
    "pixels": pixels,
    "multi_formation": multi_formation,
    "multi_scale_formation": multi_scale_formation,
    "bounded_formation": bounded_formation,
    "addressable_memory": addressable_memory,
    "grown_memory": grown_memory,
    "hallucinated": hallucinated,
}
_SPACES = {"normalised": lambda images, normalisation: images, "pixel": in_pixel_space}
_LABELS = {"hard": lambda parameterization: parameterization, "soft": soft_labels}
_MOST_BRANCHES = 16  # in the name of a parameter
_SHORT = reprlib.Repr()  # for what a file notes


def decoded(compact: dict[str, np.ndarray], note: Any, normalisation: Normalisation) -> Batch:
    """Decodes parameters by the decoder that a file notes.

    Args:
        compact: the parameters by name; "a/b" is leaf b of branch a.
        note: `{"name": ..., "arguments": {...}, "image_space": "normalised" or "pixel", "labels": "hard" or "soft"}`.
        normalisation: the one that the images were learned in.

    Returns:
        Images in that normalisation and labels, [K, M, ...].
    """
    name, arguments, keep, label = _checked(note)
    try:
        _check_sizes(arguments, compact)
        learned, parameterization = _nested(compact), label(keep(DECODERS[name](**arguments), normalisation))
        _check_memory(jax.eval_shape(parameterization.decode, learned))
        return parameterization.decode(learned)
    except Exception as error:  # whatever a decoder raises for arguments and parameters that are not its own
        names = ", ".join(compact)[:160] or "of which there are none"
        raise InputError(
            f"Decoder {name} with {_SHORT.repr(arguments)} does not fit the set's parameters, {names} "
            f"({type(error).__name__}: {first_line(error)}): use the images as they are stored."
        ) from None


def factor_of(meta: dict[str, Any]) -> int:
    """Gives the cells along each side of the grids that a set was learned as, which its `meta` notes; 1 where it notes none."""
    arguments = meta.get("decoder", {}).get("arguments", {})
    own = arguments.get("factor") if isinstance(arguments, dict) else None
    factor = meta.get("factor", own)
    return factor if type(factor) is int and factor > 0 else 1


def _check_sizes(arguments, compact):
    """Refuses arguments that a loop could not come to the end of: no factor is longer than a side, no count above that of all values."""
    longest = max((max(x.shape, default=1) for x in compact.values()), default=1)
    values = sum(x.size for x in compact.values())
    for name, value in arguments.items():
        most = longest if name == "factor" else max(values, longest)
        if isinstance(value, int) and abs(value) > most:
            raise ValueError(f"its {name} is beyond {most}")


def _check_memory(batch):
    needed = sum(4 * math.prod(leaf.shape) for leaf in jax.tree.leaves(batch))
    if needed > psutil.virtual_memory().total:
        raise ValueError(f"it makes {needed / 2**30:.0f} GiB, more than this machine's memory")


def _checked(note):
    try:
        # Older files say neither, because there was no other.
        space, labels = note.get("image_space", "normalised"), note.get("labels", "hard")
        name, arguments, keep, label = str(note["name"]), dict(note["arguments"]), _SPACES[space], _LABELS[labels]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            "Decoding needs a note of the decoder's name, its arguments, its image_space ('normalised' or 'pixel') and its labels ('hard' or "
            f"'soft'), but the set "
            f"has {_SHORT.repr(note)}: use the images as they are stored."
        ) from None
    if name not in DECODERS:
        raise InputError(
            f"There is no decoder {_SHORT.repr(name)}: choose {', '.join(DECODERS)}, or add it to dcjax.artifact.DECODERS."
        )
    return name, arguments, keep, label


def _nested(leaves: dict[str, np.ndarray]) -> Syn:
    """Makes dicts in dicts of names with slashes."""
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *branches, last = name.split("/")
        if len(branches) > _MOST_BRANCHES:
            raise ValueError("a parameter has too many branches")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        place[last] = jnp.asarray(leaf)
    return tree
