"""Makes networks train for as many steps on condensed images as on real ones, so that both compare fairly."""

import jax

from dcjax import InputError
from dcjax.training import steps_per_epoch
from experiments.pipeline.job import load_data, prepare
from experiments.settings.parse import parse


def equal_passes(words: list[str], own: list[str]) -> list[str]:
    """Gives the `--inner-epochs` with which a run trains its networks for as many steps as another run does on real images.

    Args:
        words: flags of the run, whose trajectory is `on_synthetic`.
        own: flags of the other run; if its trajectory has no `--network-steps`, the result is empty.
    """
    settings = parse(words)
    if settings.matches < 2:
        raise InputError(
            f"--matches {settings.matches} trains no network between comparisons, on condensed images or on real ones: give at least 2."
        )
    steps = parse(own).values().get("network_steps")
    if steps is None:
        return []
    job = prepare(settings, load_data(settings))
    decoded = jax.eval_shape(job.method.parameterization.decode, job.described_start().syn)
    images = decoded.label.shape[0] * decoded.label.shape[1]
    in_a_pass = steps_per_epoch(images, settings.network_batch)
    if steps % in_a_pass:
        raise InputError(
            f"A network cannot train for {steps} steps on {images} condensed images in whole passes of {in_a_pass}: give a "
            f"--network-steps that {in_a_pass} divides, or a larger --network-batch."
        )
    return ["--inner-epochs", str(steps // in_a_pass)]
