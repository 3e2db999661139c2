"""The published evaluation recipes."""

import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc


def rates(phase, steps_per_epoch):
    """The rate of every epoch of a phase, from plain gradient descent's updates without momentum's help."""
    optimizer = phase.optimizer(steps_per_epoch, 0.01)
    state, seen = optimizer.init(jnp.zeros(())), []
    velocity = 0.0
    for _ in range(phase.epochs * steps_per_epoch):
        update, state = optimizer.update(jnp.ones(()), state, jnp.zeros(()))
        velocity = 0.9 * velocity + 1
        seen.append(-float(update) / velocity)
    return np.array(seen).reshape(phase.epochs, steps_per_epoch)


@pytest.mark.parametrize("steps", [1, 3])
def test_idc_lowers_the_rate_after_two_thirds_and_five_sixths_of_the_epochs(steps):
    (phase,) = dc.idc_recipe(epochs=12).phases
    expected = np.repeat([0.01, 0.002, 0.0004], [8, 2, 2])[:, None]
    np.testing.assert_allclose(rates(phase, steps), np.broadcast_to(expected, (12, steps)), rtol=1e-4)


def test_dsa_is_dc_s_schedule_for_longer_and_augmented():
    dsa, dc_own = dc.dsa_recipe(), dc.dc_recipe(1000)
    assert [phase.epochs for phase in dsa.phases] == [phase.epochs for phase in dc_own.phases]
    assert dsa.augment is not dc.augment.identity
    assert dsa.plain()[1:4] == dc_own[1:4]


def test_a_recipe_is_one_object_so_that_its_training_is_compiled_once():
    assert dc.idc_recipe() is dc.idc_recipe()
    assert dc.dsa_recipe(300) == dc.dsa_recipe(300)
    assert dc.dc_recipe(300) == dc.dc_recipe(epochs=300)  # equal, though made in two ways
    assert hash(dc.dc_recipe(300)) == hash(dc.dc_recipe(epochs=300))
    assert dc.dc_recipe(300) != dc.dc_recipe(300, learning_rate=0.1)


def test_a_recipe_at_a_learned_rate_differs_in_the_rate_alone():
    own = dc.dc_recipe(20)
    learned = own.at_learned_rate()
    assert own.rate(()) == 0.01
    assert learned.rate({"rate": 0.3, "other": 1.0}) == 0.3
    assert learned == own.at_learned_rate("rate") != own.at_learned_rate("other")
    assert hash(learned) == hash(dc.dc_recipe(20).at_learned_rate())
    assert learned._replace(rate=own.rate, description=own.description) == own
    assert learned.description.endswith("; the learned rate takes the place of that rate")
    assert learned.plain().rate == learned.rate


@pytest.mark.parametrize(("hyper", "known"), [((), "nothing"), ({"momentum": 0.5}, "momentum")])
def test_a_rate_that_was_not_learned_is_one_sentence(hyper, known):
    with pytest.raises(
        dc.InputError, match=rf"at the learned 'rate', but {known} was learned .*: give `hyper`, or .*\.$"
    ):
        dc.dc_recipe().at_learned_rate().rate(hyper)
