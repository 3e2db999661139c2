"""Whitening is what it says and can be undone; the plain normalisation is unchanged by there being another."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import dense_net, small_data

import dcjax as dc
from dcjax import normalisation
from dcjax.coresets import features
from dcjax.evaluate import accuracy
from dcjax.sharding import across, replicate


def correlated(count, shape, seed=0):
    """Images whose neighbouring pixels and channels are alike, as a photograph's are, in [0, 1]."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(count, *shape))
    smooth = noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + noise.mean(-1, keepdims=True)
    return (0.5 + 0.08 * smooth).clip(0, 1).astype(np.float32)


def covariance(image):
    return np.cov(np.asarray(image, np.float64).reshape(len(image), -1), rowvar=False)


def test_whitened_training_images_have_the_identity_as_covariance():
    pixels = correlated(400, (4, 4, 3))
    whitened = normalisation.zca(epsilon=1e-8)(pixels).apply(pixels)
    np.testing.assert_allclose(covariance(whitened), np.eye(48), atol=1e-3)
    np.testing.assert_allclose(np.mean(whitened, 0), 0, atol=1e-4)


def test_epsilon_holds_small_eigenvalues_back():
    pixels = correlated(400, (4, 4, 3))
    spectrum = np.linalg.eigvalsh(covariance(pixels))
    whitened = normalisation.zca(epsilon=0.1)(pixels).apply(pixels)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance(whitened)), spectrum / (spectrum + 0.1), atol=1e-5)


def test_whitening_changes_an_image_as_little_as_any_does():
    """ZCA's own: the whitening matrix is symmetric, and so whitened images still look like images."""
    zca = normalisation.zca()(correlated(100, (4, 4, 1)))
    np.testing.assert_allclose(zca.whitening, zca.whitening.T, atol=1e-5)
    np.testing.assert_allclose(zca.basis.T @ zca.basis, np.eye(16), atol=1e-5)


@pytest.mark.parametrize("images", ["digits", "correlated"])
def test_whitening_is_undone(images):
    if images == "digits":  # some pixels are always black, so that the covariance has no inverse
        pixels = np.asarray(dc.data.load("digits").train.image, np.float32) / 255
    else:
        pixels = correlated(100, (8, 8, 3))  # fewer images than values in one
    zca = normalisation.zca()(pixels)
    unseen = correlated(7, pixels.shape[1:], seed=1)
    for given in (pixels[:50], unseen, unseen[:, None], unseen[0]):
        back = zca.invert(zca.apply(given))
        chex.assert_shape(back, given.shape)
        np.testing.assert_allclose(back, given, atol=1e-4)


def whitened_data():
    pixels = correlated(60, (8, 8, 3))
    return dc.data.from_arrays((pixels, np.arange(60) % 3), normalisation=normalisation.zca(epsilon=0.05))


def test_a_split_sees_whitened_images_and_gives_pixels_back():
    data = whitened_data()
    batch = data.train.batch()
    spectrum = np.sort(data.train.normalisation.spectrum)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance(batch.image)), spectrum / (spectrum + 0.05), atol=1e-4)
    np.testing.assert_allclose(data.train.denormalise(batch.image) * 255, data.train.image, atol=0.03)
    drawn = jax.jit(lambda key, split: split.sample(key, 4))(jax.random.key(0), data.train)
    pixels = np.asarray(255 * data.train.denormalise(drawn.image)).round()
    everything = {image.tobytes() for image in np.asarray(data.train.image)}
    assert all(image.astype(np.uint8).tobytes() in everything for image in pixels.reshape(12, 8, 8, 3))


def test_test_images_are_whitened_as_training_images_are():
    data = whitened_data()
    zca, pixels = data.train.normalisation, np.asarray(data.test.image, np.float64) / 255
    rows = pixels.reshape(len(pixels), -1) - np.asarray(zca.mean)
    basis = np.asarray(zca.basis, np.float64)
    expected = rows @ basis / np.sqrt(np.asarray(zca.spectrum) + 0.05) @ basis.T
    np.testing.assert_allclose(data.test.batch().image.reshape(len(pixels), -1), expected, atol=1e-4)


def test_channels_are_described_whatever_networks_see():
    plain, white = (
        dc.data.from_arrays((correlated(60, (8, 8, 3)), np.arange(60) % 3), normalisation=fit)
        for fit in (None, normalisation.zca())
    )
    np.testing.assert_allclose(white.mean, plain.mean, atol=1e-6)
    np.testing.assert_allclose(white.test.std, plain.test.std, atol=1e-6)


def test_networks_are_scored_on_whitened_images():
    data = whitened_data()
    net = dense_net(data)
    params = net.init(jax.random.key(0))
    logits = net.apply(params, data.test.batch().image)
    expected = np.mean(np.asarray(logits).argmax(-1) == data.test.label)
    score = jax.jit(lambda params, test: accuracy(net, params, test))
    known = net.features(params, data.train.batch().image)
    assert score(params, data.test) == pytest.approx(expected)
    np.testing.assert_allclose(features(net, params, data.train), known, atol=1e-5)
    with across(2):
        there = data.replicated()
        assert score(replicate(params), there.test) == pytest.approx(expected)
        np.testing.assert_allclose(features(net, replicate(params), there.train), known, atol=1e-5)


@pytest.mark.parametrize("fit", [normalisation.zca(), normalisation.mean_std()], ids=["zca", "mean and deviation"])
def test_images_kept_as_pixels_are_decoded_as_networks_see_them(fit):
    data = dc.data.from_arrays((correlated(60, (8, 8, 3)), np.arange(60) % 3), normalisation=fit)
    images = dc.in_pixel_space(dc.pixels(2, dc.from_real), data.train.normalisation)
    real = data.sample(jax.random.key(0), 2)
    syn = images.init(jax.random.key(1), real)
    assert -1e-4 < syn["image"].min() < syn["image"].max() < 1 + 1e-4
    np.testing.assert_allclose(syn["image"], data.train.denormalise(real.image), atol=1e-5)
    np.testing.assert_allclose(images.decode(syn).image, real.image, atol=1e-4)


def test_mean_and_deviation_are_constants_and_whitening_is_not():
    plain, white = small_data().train.normalisation, whitened_data().train.normalisation
    assert jax.tree.leaves(plain) == []
    assert len(jax.tree.leaves(white)) == 4
    again = jax.tree.map(lambda x: x, white)
    assert (again.epsilon, again.channels) == (white.epsilon, white.channels)


def test_mean_and_deviation_are_given_or_measured():
    pixels = correlated(20, (4, 4, 3))
    measured = normalisation.mean_std()(pixels)
    np.testing.assert_allclose(measured.mean, pixels.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(measured.std, pixels.std((0, 1, 2)), rtol=1e-5)
    given = normalisation.mean_std(mean=(0.5, 0.5, 0.5))(pixels)
    assert given == normalisation.MeanStd((0.5,) * 3, measured.std)
    assert normalisation.mean_std()(np.ones((2, 4, 4, 1), np.float32)).std == (1.0,)
    np.testing.assert_array_equal(given.apply(pixels), (pixels - np.float32(0.5)) / np.array(measured.std, np.float32))


def test_statistics_of_more_images_than_are_taken_at_once(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    whole = normalisation.channel_statistics(image, 255)
    monkeypatch.setattr("dcjax.normalisation._mean_std._PART", 7 * 48)  # seven images, and one is left
    parts = normalisation.channel_statistics(image, 255)
    assert (parts.mean, parts.std) == (whole.mean, whole.std), "a fingerprint of the data is made of these bits"
    np.testing.assert_allclose(parts.std, (image / 255).std((0, 1, 2)), rtol=1e-12)


def test_what_is_stored_restores_the_same():
    for one in (small_data().train.normalisation, whitened_data().train.normalisation):
        other = normalisation.restored({**one.stored(), "images": np.zeros(3)})
        assert normalisation.is_equal(one, other)
        image = jnp.asarray(correlated(3, (8, 8, len(one.channels.mean)), seed=2))
        chex.assert_trees_all_close(one.apply(image), other.apply(image), atol=1e-6)
    assert not normalisation.is_equal(whitened_data().train.normalisation, small_data(channels=3).train.normalisation)


def test_images_go_from_one_normalisation_to_another_through_pixels():
    pixels = correlated(40, (4, 4, 3))
    white, plain = normalisation.zca()(pixels), normalisation.mean_std()(pixels)
    there = normalisation.renormalised(white.apply(pixels), white, plain)
    np.testing.assert_allclose(there, plain.apply(pixels), atol=1e-4)
    assert normalisation.renormalised(there, plain, normalisation.mean_std()(pixels)) is there


def test_a_fingerprint_tells_normalisations_apart():
    pairs = (correlated(60, (8, 8, 1)), np.arange(60) % 3)
    fits = (None, normalisation.zca(), normalisation.zca(0.2), normalisation.mean_std((0.0,), (1.0,)))
    prints = [dc.data.from_arrays(pairs, normalisation=fit).fingerprint() for fit in fits]
    assert len(set(prints)) == 4
    assert dc.data.from_arrays(pairs, normalisation=normalisation.zca()).fingerprint() == prints[1]


def test_a_fingerprint_is_the_one_that_older_runs_noted():
    expected = "a827ba6e994134ab64b5270fafb1a4b2a6456ba5f4255ab6ee2828ead1965b3f"
    assert dc.data.load("digits").fingerprint() == expected


def test_a_dataset_by_name_is_whitened():
    data = dc.data.load("digits", normalisation=normalisation.zca())
    assert data.train.normalisation.epsilon == 0.1
    np.testing.assert_allclose(data.mean, dc.data.load("digits").mean, rtol=1e-5)


@pytest.mark.parametrize("epsilon", [0, -1, np.inf, np.nan])
def test_an_epsilon_that_is_no_positive_number_is_refused(epsilon):
    with pytest.raises(dc.InputError, match=r"must be a positive number, not .*: give 0\.1\.$"):
        normalisation.zca(epsilon)


def test_images_too_large_for_whitening_are_refused():
    with pytest.raises(dc.InputError, match=r"at most 16384 values, but \(100, 100, 3\) are 30000: make"):
        normalisation.zca()(np.zeros((2, 100, 100, 3), np.float32))
