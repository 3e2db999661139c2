"""Restores checkpoints, also those of versions before 0.2, whose states held the same arrays in another structure."""

import contextlib
from typing import Any

import jax

import dcjax as dc
from dcjax.checkpoint import Checkpoints, Restored
from dcjax.trajectories import Progress
from experiments.pipeline.show import say
from experiments.settings.settings import Settings


def restored(checkpoints: Checkpoints, like: dc.CondenserState, settings: Settings) -> Restored:
    """Restores the newest whole state, in the structure, types and placement of `like`.

    Raises:
        InputError: no checkpoint is whole, or they are of another method.
    """

    def arrange(fill, like):
        try:
            return fill(like)
        except Exception as error:  # Orbax has many for another structure
            with contextlib.suppress(Exception):
                return _as_now(like, fill(_as_before(like)), settings)
            raise error

    return checkpoints.restore(like, arrange)


def _as_now(like, older, settings):
    """Arranges the values of an earlier version's state as `like` is."""
    if settings.values().get("pool"):
        say(
            "This run was begun by an earlier version, which picked the networks of its pool otherwise: it goes on, but not bit for bit."
        )
    leaves, structure = jax.tree.flatten(like)
    places = jax.tree.leaves(_as_before(jax.tree.unflatten(structure, range(len(leaves)))))
    for place, leaf in zip(places, jax.tree.leaves(older), strict=True):
        leaves[place] = leaf
    return jax.tree.unflatten(structure, leaves)


def _as_before(state: dc.CondenserState) -> dict[str, Any]:
    """Arranges the leaves as those versions did: one optimizer for all, and a kind of point for every trajectory."""
    carry = state.point.carry
    carried = carry._asdict() if isinstance(carry, Progress) else dict(zip(["age"], jax.tree.leaves(carry)))
    return {
        "learned": state.learned,
        "opt_state": state.opt_state.inner_states["image"].inner_state,
        "point": {"params": state.point.params, **carried},
    }
