"""Makes images again of the parameters that a file keeps, by a decoder that the file names and the library knows.

Code is never loaded from a file. A parameterization of one's own is added by its name:

    dcjax.artifact.DECODERS["mine"] = mine                     # called with the arguments that the file notes
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from dcjax.base import Batch, InputError, Parameterization, Syn
from dcjax.normalisation import Normalisation
from dcjax.parameterizations import bounded_formation, in_pixel_space, multi_formation, multi_scale_formation, pixels

DECODERS: dict[str, Callable[..., Parameterization]] = {
    "pixels": pixels,
    "multi_formation": multi_formation,
    "multi_scale_formation": multi_scale_formation,
    "bounded_formation": bounded_formation,
}
_SPACES = {"normalised": lambda images, normalisation: images, "pixel": in_pixel_space}


def decoded(compact: dict[str, np.ndarray], note: Any, normalisation: Normalisation) -> Batch:
    """Decodes parameters by the decoder that a file notes.

    Args:
        compact: the parameters by name; "a/b" is leaf b of branch a.
        note: `{"name": ..., "arguments": {...}, "image_space": "normalised" or "pixel"}`.
        normalisation: the one that the images were learned in.

    Returns:
        Images in that normalisation and labels, [K, M, ...].
    """
    name, arguments, keep = _checked(note)
    try:
        return keep(DECODERS[name](**arguments), normalisation).decode(_nested(compact))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"Decoder {name} with {arguments} does not fit the set's parameters, {', '.join(compact) or 'of which there are none'} "
            f"({type(error).__name__}: {error}): use the images as they are stored."
        ) from None


def _checked(note):
    try:
        space = note.get("image_space", "normalised")  # older files do not say, because there was no other
        name, arguments, keep = str(note["name"]), dict(note["arguments"]), _SPACES[space]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            "Decoding needs a note of the decoder's name, its arguments and its image_space ('normalised' or 'pixel'), but the set "
            f"has {note!r}: use the images as they are stored."
        ) from None
    if name not in DECODERS:
        raise InputError(
            f"There is no decoder {name!r}: choose {', '.join(DECODERS)}, or add it to dcjax.artifact.DECODERS."
        )
    return name, arguments, keep


def _nested(leaves: dict[str, np.ndarray]) -> Syn:
    """Makes dicts in dicts of names with slashes."""
    tree: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *branches, last = name.split("/")
        place = tree
        for branch in branches:
            place = place.setdefault(branch, {})
        place[last] = jnp.asarray(leaf)
    return tree
