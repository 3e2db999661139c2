"""Each operator against its golden values, NumPy or SciPy, and the ways of drawing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from helpers import golden

import dcjax as dc
from dcjax import augment
from dcjax.augment import _dsa
from dcjax.augment._dc import _resized_indices, _turned, _turned_places, _turns

IMAGE = jax.random.uniform(jax.random.key(7), (12, 12, 2))
OBLONG = jax.random.uniform(jax.random.key(8), (8, 13, 3))
PUBLISHED = golden("dsa_ops")
ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))


@pytest.fixture
def pin(monkeypatch):
    """Makes every draw of DSA's operators this number, or this number per axis."""

    def pin_to(u):
        u = jnp.asarray(u, jnp.float32)
        monkeypatch.setattr(_dsa, "_uniform", lambda key, shape: jnp.broadcast_to(u, shape))

    return pin_to


def drawn(augmentation, image, count=None):
    """[count, ...]: the image under as many draws; or under one."""
    key, apply = jax.random.key(0), lambda key: augmentation(key)(image)
    return np.asarray(jax.jit(apply)(key) if count is None else jax.jit(jax.vmap(apply))(jax.random.split(key, count)))


def siamese(augmentation, images):
    """[B, ...]: all images under one draw."""
    return jax.jit(lambda key: jax.vmap(augmentation(key))(images))(jax.random.key(0))


def counts(images):
    """How often each image occurs, by its bytes."""
    return dict(zip(*np.unique([np.round(image, 4).tobytes() for image in images], return_counts=True)))


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast", "flip", "scale", "rotate"])
@pytest.mark.parametrize("u", [0.2, 0.9])
def test_dsa_equals_the_published(pin, name, u):
    pin(u)
    out = siamese(getattr(augment, name)(), PUBLISHED["images"])
    np.testing.assert_allclose(out, PUBLISHED[f"{name}_u{u}"], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "operator", "first", "choices"),  # the whole numbers that an axis chooses from, and the first of them
    [
        ("crop_-3_4", augment.crop(0.25), -4, 9),
        ("crop_2_-1", augment.crop(0.125), -2, 5),
        ("cutout_0_0", augment.cutout(), 0, 17),
        ("cutout_9_16", augment.cutout(), 0, 17),
    ],
)
def test_dsa_s_shifts_equal_the_published(pin, name, operator, first, choices):
    pin([(int(number) - first + 0.5) / choices for number in name.split("_")[1:]])
    np.testing.assert_array_equal(siamese(operator, PUBLISHED["images"]), PUBLISHED[name])


def test_color_is_brightness_saturation_and_contrast(pin):
    pin(0.9)
    bright = np.asarray(OBLONG) + 0.4
    grey = bright.mean(-1, keepdims=True)
    saturated = grey + 1.8 * (bright - grey)
    contrasted = saturated.mean() + 1.4 * (saturated - saturated.mean())
    np.testing.assert_allclose(drawn(augment.color(), OBLONG), contrasted, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "u"),
    [
        (augment.brightness(), 0.5),
        (augment.saturation(), 0.5),
        (augment.contrast(), 0.5),
        (augment.flip(0.5), 0.5),
        (augment.scale(1.0), 0.3),
        (augment.scale(1.25), 4 / 9),
        (augment.rotate(), 0.5),
        (augment.crop(), 0.5),
        (augment.cutout(0.0), 0.5),
        (augment.dc_noise(0.0), 0.5),
    ],
)
def test_limits_that_are_the_identity(pin, operator, u):
    pin(u)
    np.testing.assert_allclose(drawn(operator, OBLONG), OBLONG, atol=1e-5)


@pytest.mark.parametrize("name", ["scale", "rotate"])
def test_oblong_images_are_read_at_coordinates_from_edge_to_edge(pin, name):
    pin((0.1, 0.8) if name == "scale" else 0.9)
    y, x = np.meshgrid(*((2 * np.arange(n) + 1) / n - 1 for n in (8, 13)), indexing="ij")
    spread, t = 1.2 - 1 / 1.2, np.deg2rad(12)
    turned = np.sin(t) * x + np.cos(t) * y, np.cos(t) * x - np.sin(t) * y
    scaled = (0.1 * spread + 1 / 1.2) * y, (0.8 * spread + 1 / 1.2) * x
    places = [(c + 1) * n / 2 - 0.5 for c, n in zip(scaled if name == "scale" else turned, (8, 13))]
    read = [scipy.ndimage.map_coordinates(OBLONG[..., c], places, order=1, mode="grid-constant") for c in range(3)]
    np.testing.assert_allclose(drawn(getattr(augment, name)(), OBLONG), np.stack(read, -1), atol=1e-5)


def crops(image):
    """Every shift that DSA's crop chooses from, by NumPy: one pixel of 8 and two of 13 either way."""
    padded = np.pad(image, ((1, 1), (2, 2), (0, 0)))
    return [padded[i : i + 8, j : j + 13] for i in range(3) for j in range(5)]


def cutouts(image):
    """Every box that DSA's cutout chooses from, by NumPy: 4 of 8 at 9 places, 7 of 13 at 13 places."""
    out = []
    for i in range(-2, 7):
        for j in range(-3, 10):
            out.append(np.array(image))
            out[-1][max(i, 0) : i + 4, max(j, 0) : j + 7] = 0
    return out


@pytest.mark.parametrize(
    ("operator", "obvious"), [(augment.crop(), crops), (augment.cutout(), cutouts)], ids=["crop", "cutout"]
)
def test_places_are_equally_likely_and_both_ends_are_included(operator, obvious):
    expected = counts(obvious(np.asarray(OBLONG)))
    seen = counts(drawn(operator, OBLONG, 30 * len(expected)))
    assert set(seen) == set(expected)
    assert np.std(list(seen.values())) < 2 * np.sqrt(30)


@pytest.mark.parametrize(("u", "end"), [(0.0, 0), (ALMOST_ONE, -1)])
def test_the_extreme_draws_are_the_two_ends(pin, u, end):
    pin(u)
    np.testing.assert_array_equal(drawn(augment.crop(), OBLONG), crops(np.asarray(OBLONG))[end])
    np.testing.assert_array_equal(drawn(augment.cutout(), OBLONG), cutouts(np.asarray(OBLONG))[end])


def test_flip_mirrors_with_its_probability():
    seen = counts(drawn(augment.flip(0.25), OBLONG, 400))
    mirrored, same = (counts([image]).popitem()[0] for image in (np.asarray(OBLONG)[:, ::-1], np.asarray(OBLONG)))
    assert set(seen) == {mirrored, same}
    assert 60 < seen[mirrored] < 140


@pytest.mark.parametrize(
    ("strategy", "names"),
    [(augment.dsa(), "color crop cutout flip scale rotate"), (augment.dsa_digits(), "color crop cutout scale rotate")],
)
def test_dsa_draws_each_of_its_operators_equally_often(pin, strategy, names):
    pin(0.2)  # every operator has one outcome
    operators = [getattr(augment, name) for name in names.split()]
    outcomes = np.stack([drawn(operator(), OBLONG) for operator in operators])
    distance = np.abs(drawn(strategy, OBLONG, 300)[:, None] - outcomes).max((2, 3, 4))
    assert distance.min(1).max() < 1e-5
    assert np.bincount(distance.argmin(1), minlength=len(operators)).min() > 0.6 * 300 / len(operators)


def test_what_cannot_be_left_out_is_named():
    with pytest.raises(dc.InputError, match="color, crop, cutout, flip, scale, rotate"):
        augment.dsa(without=("flip",))
    with pytest.raises(dc.InputError, match="none"):
        augment.dsa(without=augment.DSA_OPERATORS)


@pytest.mark.parametrize("operator", augment.DSA_OPERATORS)
def test_the_gradient_is_the_transpose_of_the_operator(operator):
    step, cotangent = (jax.random.normal(jax.random.key(seed), OBLONG.shape) for seed in (3, 4))

    @jax.jit
    def both(key):
        apply = operator()(key)
        before, pull = jax.vjp(apply, OBLONG)
        moved = apply(OBLONG + step) - before  # affine in the image, so a difference is the exact derivative
        return (pull(cotangent)[0] * step).sum(), (cotangent * moved).sum()

    pulled, pushed = both(jax.random.key(2))
    assert float(pulled) == pytest.approx(float(pushed), abs=1e-3)


def test_dc_crop_shows_the_shifted_image_and_its_mean():
    shifted = jax.jit(lambda key: augment.dc_crop(2)(key)(IMAGE))
    seen = set()
    for seed in range(40):
        out = np.asarray(shifted(jax.random.key(seed)))
        fill = np.ones((16, 16, 2)) * np.asarray(IMAGE.mean((0, 1)))
        fill[2:14, 2:14] = IMAGE
        (shift,) = [(i, j) for i in range(4) for j in range(4) if np.allclose(out, fill[i : i + 12, j : j + 12])]
        seen.add(shift)
    assert len(seen) > 8  # of 16 shifts


@pytest.mark.parametrize(("size", "expected"), [(4, [0, 1, 2, 3]), (2, [-1, 0, 2, -1]), (6, [0, 1, 2, 2])])
def test_dc_scale_reads_the_nearest_pixel_of_the_centred_image(size, expected):
    assert _resized_indices(4, size, max(size, 4)).tolist() == expected


@pytest.mark.parametrize("image", [IMAGE, OBLONG])
def test_dc_scale_by_nothing_is_the_identity(image):
    np.testing.assert_array_equal(drawn(augment.dc_scale(0.0), image), image)


def published_turn(image, degrees):
    """SciPy's rotation on a canvas that holds all of the image, cut back to its size from the top left, as published."""
    turned = scipy.ndimage.rotate(image, degrees, axes=(0, 1), cval=image.mean())
    top, left = (int((turned.shape[axis] - image.shape[axis]) / 2) for axis in (0, 1))
    return turned[top : top + image.shape[0], left : left + image.shape[1]]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (15, 15, 1), (9, 12, 2)])
def test_dc_rotation_is_the_published_one_at_every_angle(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    turns = _turns(45, *shape[:2])
    ours = jax.jit(jax.vmap(lambda turn: _turned(jnp.asarray(image), turn)))(jnp.asarray(turns, jnp.float32))
    rows, columns = _turned_places(turns.T[..., None, None], *shape[:2])
    # Where a turned pixel lands on the very border, rounding decides whether it is inside.
    clear = np.abs([np.minimum(rows, shape[0] - 1 - rows), np.minimum(columns, shape[1] - 1 - columns)]).min(0) > 1e-4
    theirs = np.stack([published_turn(image, degrees) for degrees in range(-45, 46)])
    np.testing.assert_allclose(np.asarray(ours)[clear], theirs[clear], atol=1e-4)
    assert clear.mean() > 0.98
    np.testing.assert_allclose(ours[45], image, atol=1e-5)  # turned by nothing
    assert {*np.abs(turns[:, 2:]).ravel()} == {0, 0.5}, "some are about the centre, some beside it"


def test_dc_rotate_draws_whole_angles_and_turns_as_published():
    image = np.asarray(OBLONG)
    known = np.stack([published_turn(image, degrees) for degrees in range(-45, 45)])
    distance = np.abs(drawn(augment.dc_rotate(45), OBLONG, 200)[:, None] - known).max((2, 3, 4))
    assert distance.min(1).max() < 1e-4
    assert len({*distance.argmin(1)}) > 70  # of 90 angles


def test_dc_noise_is_normal_with_its_deviation():
    noise = drawn(augment.dc_noise(0.01), jnp.zeros((60, 40, 2)))
    assert noise.std() == pytest.approx(0.01, rel=0.05)
    assert np.abs(noise).max() > 0.03
    assert abs(noise.mean()) < 5e-4


def test_one_of_draws_each():
    pick = augment.one_of([lambda key: lambda image: image + 1, lambda key: lambda image: image - 1])
    assert set(drawn(pick, jnp.zeros(()), 20).tolist()) == {-1.0, 1.0}


def test_chain_applies_all_in_order_with_draws_of_their_own():
    in_order = augment.chain([lambda key: lambda image: image + 1, lambda key: lambda image: image * 2])
    assert drawn(in_order, jnp.zeros(())) == 2
    sums = drawn(augment.chain([augment.brightness()] * 2), jnp.zeros((1, 1, 1)), 200)
    assert np.var(sums) == pytest.approx(2 / 12, rel=0.3)  # 4 / 12 if both drew the same


@pytest.mark.parametrize(
    "augmentation",
    [augment.dc_digits(), augment.dc_crop_noise(), augment.dsa(), augment.dc_noise(0.1)],
    ids=["dc_digits", "dc_crop_noise", "dsa", "dc_noise"],
)
def test_one_draw_is_a_deterministic_function_and_independent_draws_differ(augmentation):
    batch = jnp.stack([IMAGE] * 8)

    def twice(key):
        same = augmentation(key)
        return jax.vmap(same)(batch), same(IMAGE)

    siamese, alone = jax.jit(twice)(jax.random.key(3))
    chex.assert_trees_all_close(siamese, jnp.stack([alone] * 8), atol=1e-6)
    out = jax.jit(augment.independent, static_argnums=0)(augmentation, jax.random.key(3), batch)
    assert len({float(image.sum()) for image in out}) > 4


def test_the_identity_leaves_every_image():
    batch = jnp.stack([IMAGE] * 2)
    chex.assert_trees_all_equal(augment.independent(augment.identity, jax.random.key(3), batch), batch)
