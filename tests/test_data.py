"""Drawing from classes of unequal size, and everything that a source can get wrong."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_data
from PIL import Image

import dcjax as dc
from dcjax.data import sources
from dcjax.normalisation import MeanStd
from dcjax.sharding import across

GENERATOR = np.random.default_rng(0)


def picture(path, size=(8, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = () if mode == "L" else (3,)
    Image.fromarray(GENERATOR.integers(0, 256, (*size, *channels), np.uint8)).save(path)
    return path


def folder(root, classes=("cat", "dog"), count=5, **kwargs):
    for name in classes:
        for i in range(count):
            picture(root / name / f"{i}.png", **kwargs)
    return root


def load_error(name, **kwargs):
    with pytest.raises(dc.InputError) as caught:
        dc.data.load(str(name), **kwargs)
    return str(caught.value)


def test_a_draw_has_n_different_images_of_every_class():
    counts = (3, 7, 4)
    image = jnp.arange(14, dtype=jnp.uint8).reshape(14, 1, 1, 1)  # every image is its own index
    split = dc.data.Split(image, counts, MeanStd((0.0,), (1.0,)))
    draw = jax.jit(lambda key: split.sample(key, 3))
    seen = set()
    for seed in range(60):
        batch = draw(jax.random.key(seed))
        index = np.round(np.asarray(batch.image) * 255).astype(int).reshape(3, 3)
        assert all(len(set(row)) == 3 for row in index)
        assert (split.label[index] == np.arange(3)[:, None]).all()
        seen |= set(index.ravel())
    assert seen == set(range(14))  # no image of a larger class is left out
    assert (batch.label.argmax(-1) == np.arange(3)[:, None]).all()
    with pytest.raises(dc.InputError, match="Cannot draw 4 images of every class: the smallest class has 3"):
        split.sample(jax.random.key(0), 4)


@pytest.mark.parametrize("num_classes", [3, 4, 6])
def test_a_draw_s_classes_are_divided_among_the_devices(num_classes):
    data = small_data(num_classes=num_classes, size=16)
    draw = jax.jit(lambda key, split: split.sample(key, 3))
    alone = draw(jax.random.key(0), data.train)
    with across(2):
        divided = draw(jax.random.key(0), data.replicated().train)
        eager = data.sample(jax.random.key(0), 3)
    chex.assert_trees_all_close(divided, alone, atol=1e-6)
    chex.assert_trees_all_close(eager, alone, atol=1e-6)
    if num_classes % 2 == 0:  # JAX lays out the results of a program evenly or not at all
        assert {shard.data.shape[0] for shard in divided.image.addressable_shards} == {num_classes // 2}


def test_images_are_normalised_and_back():
    data = small_data(channels=3)
    batch = data.train.batch()
    assert jnp.abs(batch.image.mean((0, 1, 2))).max() < 1e-4
    assert jnp.abs(batch.image.std((0, 1, 2)) - 1).max() < 1e-4
    np.testing.assert_allclose(data.train.denormalise(batch.image) * 255, data.train.image, atol=1e-3)
    assert (batch.label.argmax(-1) == data.train.label).all()


def test_digits_are_split_by_class():
    data = dc.data.load("digits")
    counts = np.array([data.train.counts, data.test.counts])
    assert counts.sum() == 1797
    assert data.image_shape == (8, 8, 1)
    np.testing.assert_allclose(counts[1] / counts.sum(0), 0.2, atol=0.01)


def test_papers_statistics_are_used_where_published(monkeypatch):
    arrays = sources.from_arrays((np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10))
    monkeypatch.setattr(sources, "tfds", lambda *args: arrays)
    assert dc.data.load("mnist").mean == (0.1307,)
    assert dc.data.load("kmnist").mean == (0.0,)


def test_another_data_set_s_published_statistics_can_be_taken():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    fit = dc.data.published_statistics("cifar10")
    data = dc.data.from_arrays((image, np.arange(6) // 3), normalisation=fit)
    assert (data.mean, data.std) == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    assert data.fingerprint() != dc.data.from_arrays((image, np.arange(6) // 3)).fingerprint()
    with pytest.raises(dc.InputError, match=r"'digits' has no published statistics: choose mnist, .*cifar100"):
        dc.data.published_statistics("digits")
    with pytest.raises(dc.InputError, match=r"has images of 1 channel.*statistics of 3"):
        dc.data.load("digits", normalisation=fit)


def test_arrays_are_checked():
    image, label = np.zeros((4, 8, 8)), np.array([0, 0, 1, 1])
    assert dc.data.from_arrays((image, label)).num_classes == 2
    for bad_image, bad_label, message in (
        (image[0], label, "must be .T, H, W. or .T, H, W, C. with 1 or 3 channels, not"),
        (image, label[:3], "Labels must be 4 integers from 0"),
        (image, label.astype(float), "Labels must be 4 integers from 0"),
        (image + 2, label, "must lie in .0, 1., but go from 2 to 2"),
        (image + np.nan, label, "finite"),
        (image, np.array([0, 0, 2, 2]), "Class '1' has 0 image"),
        (image, np.array([0, 1, 1, 1]), "Class '0' has 1 image.*at least 2"),
        (image, np.zeros(4, int), "at least two"),
    ):
        with pytest.raises(dc.InputError, match=message):
            dc.data.from_arrays((bad_image, bad_label))


@pytest.mark.parametrize("offset", range(0, 64, 16))
def test_arrays_may_be_written_into_afterwards(offset):
    memory = np.zeros(2 * 4 * 4 * 4 * 3 + 64, np.uint8)
    start = (offset - memory.ctypes.data) % 64  # what is aligned as JAX likes it might be left where it is
    image = memory[start : start + 384].reshape(8, 4, 4, 3)
    data = dc.data.from_arrays((image, np.arange(8) // 4), (image, np.arange(8) // 4))
    memory[:] = 1
    assert not np.asarray(data.train.image).any()


def test_npz(tmp_path):
    path = tmp_path / "set.npz"
    image, label = GENERATOR.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3
    np.savez(path, x_train=image, y_train=label, x_test=image[:3], y_test=label[:3], class_names=["a", "b", "c"])
    data = dc.data.load(f"npz:{path}")
    assert (data.class_names, data.train.counts, data.test.counts) == (("a", "b", "c"), (4, 4, 4), (1, 1, 1))
    np.testing.assert_array_equal(data.train.image[:4], image[label == 0])
    np.savez(path, pictures=image)
    assert "needs x_train and y_train (or images and labels), but holds pictures" in load_error(f"npz:{path}")
    np.savez(path, x_train=image, y_train=label, x_test=image)
    assert "has only one of x_test and y_test" in load_error(f"npz:{path}")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"PK not a zip", whole[:20]):
        path.write_bytes(damaged)
        assert "is damaged or no .npz file" in load_error(f"npz:{path}")
    with path.open("wb") as file:
        np.save(file, image)
    assert "is damaged or no .npz file" in load_error(f"npz:{path}")
    assert "There is no file" in load_error(f"npz:{tmp_path}/none.npz")


def test_folder_with_its_own_test_images(tmp_path):
    folder(tmp_path / "train", count=3)
    folder(tmp_path / "test", count=2)
    data = dc.data.load(f"folder:{tmp_path}")
    assert (data.class_names, data.train.counts, data.test.counts) == (("cat", "dog"), (3, 3), (2, 2))
    first = np.asarray(Image.open(tmp_path / "train" / "cat" / "0.png"))
    np.testing.assert_array_equal(data.train.image[0], first)


def test_folder_without_test_images_is_split_the_same_way_every_time(tmp_path):
    folder(tmp_path, count=10)
    one, two = (dc.data.load(f"folder:{tmp_path}") for _ in range(2))  # the second from the cache
    assert (one.train.counts, one.test.counts) == ((8, 8), (2, 2))
    np.testing.assert_array_equal(one.test.image, two.test.image)


def test_folder_of_several_sizes_and_turned_photographs(tmp_path):
    folder(tmp_path, size=(30, 20))
    path = tmp_path / "cat" / "turned.jpg"
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    Image.fromarray(upright[::-1]).save(path, exif=exif, quality=95)
    data = dc.data.load(f"folder:{tmp_path}", image_size=16)
    assert data.image_shape == (16, 16, 3)
    assert any(image[:6].mean() > 250 and image[10:].mean() < 5 for image in np.asarray(data.train.image)) or any(
        image[:6].mean() > 250 and image[10:].mean() < 5 for image in np.asarray(data.test.image)
    )


def test_folder_errors(tmp_path):
    assert "There is no folder" in load_error(f"folder:{tmp_path}/none")
    assert "has no subfolders" in load_error(f"folder:{tmp_path}")
    root = folder(tmp_path / "one", classes=("cat",))
    assert "has one class, 'cat': at least two" in load_error(f"folder:{root}")
    (root / "dog").mkdir()
    assert "Class 'dog' of" in load_error(f"folder:{root}")
    picture(root / "dog" / "only.png")
    assert "Class 'dog' has 1 image(s), but every class needs at least 2" in load_error(f"folder:{root}")
    broken = folder(tmp_path / "broken") / "dog" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    assert f"{broken} cannot be read as an image" in load_error(f"folder:{tmp_path}/broken")
    root = folder(tmp_path / "sizes")
    large = picture(root / "dog" / "large.png", size=(20, 30))
    assert f"is 8x8 but {large} is 30x20: give one size for all with --image-size" in load_error(f"folder:{root}")
    folder(tmp_path / "sides" / "train")
    folder(tmp_path / "sides" / "test", classes=("cat", "cow"))
    assert "Class 'cow' is in only one of the training and test folders" in load_error(f"folder:{tmp_path}/sides")
    assert "at least 4, not 2" in load_error(f"folder:{root}", image_size=2)


def test_tfds_errors(tmp_path, monkeypatch):
    message = load_error("fashion_mnsit", data_dir=str(tmp_path))
    assert "There is no dataset 'fashion_mnsit'" in message
    assert "Did you mean fashion_mnist?" in message
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    message = load_error("mnist", data_dir=str(tmp_path))
    assert f"Dataset mnist is not prepared in {tmp_path}" in message
    assert "pip install 'dcjax[prepare]'" in message
    assert "TensorFlow is not installed" in message


def test_tfds_preparation_that_fails_says_so(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(self, **kwargs):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    assert "preparing it failed (OSError: no route to host)" in load_error("mnist", data_dir=str(tmp_path))


class FakeBuilder:
    """Stands for a prepared TFDS dataset."""

    class Image:
        pass

    class ClassLabel:
        names = ("a", "b")

    def __init__(self, image_shapes):
        self.rows = [{"image": np.full(shape, i, np.uint8), "label": i % 2} for i, shape in enumerate(image_shapes)]
        self.info = self
        self.features = {"image": self.Image(), "label": self.ClassLabel()}
        self.supervised_keys = ("image", "label")
        self.splits = {"train": None, "validation": None}

    def as_data_source(self, split):
        return self.rows if split == "train" else self.rows[:2]


def test_tfds_source_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_tfds_builder", lambda *args: FakeBuilder([(6, 6, 3)] * 6))
    data = dc.data.load("anything", data_dir=str(tmp_path))
    assert (data.train.counts, data.test.counts, data.image_shape) == ((3, 3), (1, 1), (6, 6, 3))
    assert data.train.image[:, 0, 0, 0].tolist() == [0, 2, 4, 1, 3, 5]
    mixed = [(6, 6, 3), (8, 6, 3)] * 3
    monkeypatch.setattr(sources, "_tfds_builder", lambda *args: FakeBuilder(mixed))
    assert "several sizes" in load_error("anything", data_dir=str(tmp_path))
    assert dc.data.load("anything", data_dir=str(tmp_path), image_size=4).image_shape == (4, 4, 3)


def test_a_tfds_data_set_that_was_prepared_anew_in_its_place_is_read_anew(tmp_path, monkeypatch):
    place = tmp_path / "anything" / "1.0.0"
    place.mkdir(parents=True)
    (place / "dataset_info.json").write_text("{}")
    read = []
    monkeypatch.setattr(sources, "_tfds_builder", lambda *args: read.append(args) or FakeBuilder([(6, 6, 3)] * 6))
    for records, times_read in (("first", 1), ("first", 1), ("the second", 2)):
        if not (place / "records").exists() or (place / "records").read_text() != records:
            (place / "records").write_text(records)
        assert dc.data.load("anything", data_dir=str(tmp_path)).image_shape == (6, 6, 3)
        assert len(read) == times_read


def test_importing_dcjax_stays_light():
    heavy = ("tensorflow", "sklearn", "matplotlib", "tensorflow_datasets")
    code = f"import dcjax, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DCJAX_CACHE", str(tmp_path / "cache"))
    root = folder(tmp_path / "images")
    first = dc.data.load(f"folder:{root}")
    (cached,) = (tmp_path / "cache" / "data").iterdir()
    cached.write_bytes(cached.read_bytes()[:300])
    np.testing.assert_array_equal(dc.data.load(f"folder:{root}").train.image, first.train.image)


def test_sixteen_bit_images_keep_their_values_and_other_depths_are_refused(tmp_path):
    root = folder(tmp_path, mode="L")
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(root / "cat" / "deep.png")
    data = dc.data.load(f"folder:{root}")
    everything = np.concatenate([data.train.image, data.test.image])
    assert any((image[..., 0] == deep // 257).all() for image in everything)
    Image.fromarray(np.zeros((8, 8), np.float32)).save(root / "cat" / "float.tif")
    assert "float.tif cannot be read as an image (its pixels are of mode F" in load_error(f"folder:{root}")


def test_training_folders_alone_or_with_validation(tmp_path):
    folder(tmp_path / "train", count=5)
    assert dc.data.load(f"folder:{tmp_path}").train.counts == (4, 4)
    folder(tmp_path / "val", count=3)
    data = dc.data.load(f"folder:{tmp_path}")
    assert (data.train.counts, data.test.counts) == ((5, 5), (3, 3))


def test_any_source_is_resized():
    assert dc.data.load("digits", image_size=12).image_shape == (12, 12, 1)


def test_a_fingerprint_tells_data_apart():
    one, two = small_data(), small_data(channels=3)
    assert one.fingerprint() == small_data().fingerprint() != two.fingerprint()


def test_a_damaged_tfds_dataset_says_so(tmp_path, monkeypatch):
    class Damaged(FakeBuilder):
        def as_data_source(self, split):
            raise RuntimeError("truncated record\nat 7")

    monkeypatch.setattr(sources, "_tfds_builder", lambda *args: Damaged([(6, 6, 3)] * 6))
    message = load_error("anything", data_dir=str(tmp_path))
    assert "cannot be read (RuntimeError: truncated record): check its name or prepare it again" in message


def test_held_out_images_are_a_share_of_every_class_and_no_others():
    split = dc.data.load("digits").train
    rest, held = split.hold_out(jax.random.key(0), 0.2)
    assert held.counts == tuple(round(0.2 * count) for count in split.counts)
    assert tuple(map(sum, zip(rest.counts, held.counts))) == split.counts
    for k in range(10):
        own = [part.only([k]).image for part in (rest, held)]
        both = np.concatenate([np.asarray(image) for image in own]).reshape(-1, 64)
        whole = np.asarray(split.only([k]).image).reshape(-1, 64)
        np.testing.assert_array_equal(both[np.lexsort(both.T)], whole[np.lexsort(whole.T)])
    again, other = (split.hold_out(jax.random.key(seed), 0.2)[1].image for seed in (0, 1))
    assert (np.asarray(again) == np.asarray(held.image)).all()
    assert (np.asarray(other) != np.asarray(held.image)).any()


def test_every_class_keeps_and_gives_an_image():
    image = np.arange(5, dtype=np.uint8).repeat(16).reshape(5, 4, 4)
    data = dc.data.from_arrays((image, np.array([0, 0, 1, 1, 1])), (image[:2], np.array([0, 1])))
    for share in (0.01, 0.99):
        assert min(min(part.counts) for part in data.train.hold_out(jax.random.key(0), share)) >= 1
    one = dc.data.from_arrays((image[:3], np.array([0, 1, 1])), (image[:2], np.array([0, 1])))
    with pytest.raises(dc.InputError, match="the smallest class has one image"):
        one.train.hold_out(jax.random.key(0), 0.5)


def test_images_are_made_grey_or_given_three_channels(tmp_path):
    image = np.zeros((20, 8, 8, 3), np.uint8)
    image[:, :4] = (255, 0, 0)
    np.savez(tmp_path / "red.npz", images=image, labels=np.arange(20) % 2)
    grey = dc.data.load(f"npz:{tmp_path}/red.npz", channels=1)
    assert grey.image_shape == (8, 8, 1)
    np.testing.assert_array_equal(grey.train.image[0, ::4, 0, 0], [76, 0])  # 0.299 of 255
    digits, colours = dc.data.load("digits"), dc.data.load("digits", channels=3)
    np.testing.assert_array_equal(colours.test.image, np.repeat(digits.test.image, 3, axis=-1))
    np.testing.assert_allclose(colours.mean, digits.mean * 3, rtol=1e-6)
    with pytest.raises(dc.InputError, match="1 channel or 3, not 2"):
        dc.data.load("digits", channels=2)


@pytest.mark.parametrize("classes", [(), (3,), (3, 3), (3, 10), (-1, 3)])
def test_some_classes_are_two_or_more_that_are_there(classes):
    with pytest.raises(dc.InputError, match="no classes of digits to tell apart: give at least two"):
        dc.data.load("digits").only(classes)
