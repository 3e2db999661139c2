"""The published evaluation recipes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax.training import flatten
from experiments.parts.choices import MIXES, augmentation
from experiments.pipeline.recipes import recipe
from experiments.settings.settings import defaults

DATA = small_data()
NET = dense_net(DATA)


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
    learned = own.at_learned_rate("rate")
    assert own.rate(()) == 0.01
    assert learned.rate({"rate": 0.3, "other": 1.0}) == 0.3
    assert learned == own.at_learned_rate("rate") != own.at_learned_rate("other")
    assert hash(learned) == hash(dc.dc_recipe(20).at_learned_rate("rate"))
    assert learned._replace(rate=own.rate, description=own.description) == own
    assert learned.description.endswith("; the learned rate takes the place of that rate")
    assert learned.plain().rate == learned.rate


@pytest.mark.parametrize(("hyper", "known"), [((), "nothing"), ({"momentum": 0.5}, "momentum")])
def test_a_rate_that_was_not_learned_is_one_sentence(hyper, known):
    with pytest.raises(
        dc.InputError, match=rf"at the learned 'rate', but {known} was learned .*: give `hyper`, or .*\.$"
    ):
        dc.dc_recipe().at_learned_rate("rate").rate(hyper)


OLDER = {"epochs": 12, "augmentation": "none"}
UNKNOWN = {  # what a set notes -> what is said to be unknown
    "augmentation": (OLDER | {"augmentation": "spin"}, "(eval-augment must be one of none, dc_digits, "),
    "mixing": (OLDER | {"mixing": "stir"}, "(eval-mix must be one of none, cutmix, not 'stir')"),
    "epochs": (OLDER | {"epochs": "12"}, "(eval-epochs must be of type int, not '12')"),
    "absurd epochs": (OLDER | {"epochs": 10**18}, "(eval-epochs must be from 0 to below 1000000000, not "),
    "a list": (OLDER | {"augmentation": ["dsa"]}, "(eval-augment must be one of none, dc_digits, "),
    "schedule": (OLDER | {"schedule": "mtt"}, "(its schedule is 'mtt', not one of dc, idc, constant, learned, replay)"),
    "a schedule of another type": (
        OLDER | {"schedule": {}},
        "(its schedule is {}, not one of dc, idc, constant, learned, replay)",
    ),
    "setting": ({"schedule": "dc", "settings": {"eval_warm_up": 3}}, "(its settings have eval_warm_up)"),
    "settings": ({"schedule": "dc", "settings": [3]}, "(its settings are [3])"),
    "a value": ({"settings": {"eval_augment": "spin"}}, "(eval-augment must be one of none, dc_digits, "),
    "words alone": ({"training": "Adam"}, "(it lacks epochs, augmentation)"),
    "a text": ("Adam", "(it is 'Adam' instead of facts by name)"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_set_is_not_judged_by_another_recipe_than_it_notes(case):
    noted, expected = UNKNOWN[case]
    with pytest.raises(dc.InputError) as caught:
        recipe("own", {"recipe": noted}, "digits", None)
    given = str(caught.value)
    assert given.startswith("The set notes a recipe that this version does not know (")
    assert expected in given
    assert given.endswith(": choose --recipes dc,dsa,idc.")
    assert len(given.splitlines()) == 1
    assert recipe("dsa", {"recipe": noted}, "digits", 3)[0] == "dsa"


@pytest.mark.parametrize("known", [{}, {"recipe": {}}, {"recipe": {"network": {"width": 3}}}, {"method": "mine"}])
def test_a_set_of_which_nothing_is_known_is_judged_by_no_recipe_without_being_asked(known):
    with pytest.raises(dc.InputError) as caught:
        recipe("own", known, "digits", None)
    assert str(caught.value).endswith("give --recipes dc,dsa,idc, or some of them.")
    assert len(str(caught.value).splitlines()) == 1
    assert recipe("dc", known, "digits", None)[0] == "dc"


def published(method, dataset, ipc):
    return defaults(method, dataset, ipc).parts["eval_recipe"].build()


@pytest.mark.parametrize("method", ["dc", "dsa", "dm", "idc_i", "bptt", "herding"])
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_a_set_that_notes_a_method_alone_is_judged_by_its_published_recipe(method, dataset):
    name, found = recipe("own", {"method": method, "ipc": 1}, dataset, None)
    assert found == published(method, dataset, 1)
    assert name == {"idc_i": "idc"}.get(method, method)


def cut(factor, ipc):
    return {"ipc": ipc, "decoder": {"name": "multi_formation", "arguments": {"ipc": ipc, "factor": factor}}}


CUT = [("mnist", 1, 10), ("mnist", 2, 10), ("mnist", 3, 1), ("cifar10", 1, 1), ("cifar10", 2, 10)]
CUT += [("svhn_cropped", 1, 1), ("svhn_cropped", 1, 10), ("svhn_cropped", 2, 1)]


@pytest.mark.parametrize("name", ["idc", "own"])
@pytest.mark.parametrize(("dataset", "factor", "ipc"), CUT)
def test_idc_s_recipe_is_that_of_the_data_set_and_of_the_set_s_own_ipc_and_factor(name, dataset, factor, ipc):
    """No CutMix on MNIST that is cut; on one whole image of SVHN cutout in its place."""
    meta = cut(factor, ipc) | {"method": "idc" if factor > 1 else "idc_i"}
    found = recipe(name, meta, dataset, None)[1]
    is_mixed = not (dataset == "mnist" and factor > 1) and (dataset, factor, ipc) != ("svhn_cropped", 1, 1)
    assert found.mix == MIXES["cutmix" if is_mixed else "none"]
    alone = {("svhn_cropped", 1, 1): "idc_digits_cutout"}
    augment = alone.get((dataset, factor, ipc), "idc" if dataset == "cifar10" else "idc_digits")
    assert found.augment == augmentation(augment)


def test_a_set_is_judged_by_the_recipe_that_it_notes():
    settings = {"eval_epochs": 12, "eval_augment": "none", "eval_mix": "none"}
    for noted in (OLDER, {"schedule": "dc", "settings": settings}, {"training": "SGD", **OLDER, "settings": settings}):
        name, found = recipe("own", {"recipe": noted}, "digits", None)
        assert (name, sum(phase.epochs for phase in found.phases)) == ("own", 13)  # DC's has one more, as published


def test_replay_needs_as_many_images_of_every_class():
    data = small_data()
    batch = jax.tree.map(lambda x: x[:5], flatten(data.train.sample(jax.random.key(0), 2)))
    with pytest.raises(dc.InputError, match="5 images are not as many of each of 3 classes"):
        dc.train_student(jax.random.key(1), dense_net(data), batch, dc.replay_recipe(1, 1, 0.1))


def test_a_rate_of_every_step_is_none_for_epochs_and_the_name_that_was_learned_is_told():
    each = dc.rates.learned(0.02, 3).init()
    recipe = dc.dc_recipe(2).at_learned_rate()
    with pytest.raises(dc.InputError, match="3 rates were learned, one for every step of a replay"):
        dc.train_student(jax.random.key(0), NET, flatten(DATA.sample(jax.random.key(1), 1)), recipe, each)
    with pytest.raises(dc.InputError, match=r"or a recipe `at_learned_rate\('raw_rate'\)`"):
        dc.dc_recipe(2).at_learned_rate("rate").rate(each)
