"""Tiny ImageNet's folder is read as it is, with `val/` as the test split, and what does not fit in it is named in one sentence."""

import os

import numpy as np
import pytest
from PIL import Image

import dcjax as dc

CLASSES = ("n01443537", "n01629819", "n01641577")
GENERATOR = np.random.default_rng(0)


def picture(path, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (8, 8) if mode == "L" else (8, 8, 3)
    Image.fromarray(GENERATOR.integers(0, 256, shape, np.uint8)).save(path, quality=95)


def tiny_imagenet(root):
    """Makes a folder with all that the published archive holds, at 4 training and 2 validation images of each class."""
    for name in CLASSES:
        for i in range(4):
            picture(root / "train" / name / "images" / f"{name}_{i}.JPEG")
        (root / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t7\t7\n")
    lines = []
    for i in range(6):
        picture(root / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{CLASSES[(i + 1) % 3]}\t0\t0\t7\t7\n")  # classes in another order than files
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    picture(root / "test" / "images" / "test_0.JPEG")
    (root / "wnids.txt").write_text("\n".join(reversed(CLASSES)))
    (root / "words.txt").write_text("n01443537\tgoldfish, Carassius auratus\n")
    return root


def pixels(*files):
    return np.stack([np.asarray(Image.open(file)) for file in files])


@pytest.mark.filterwarnings("error")
def test_the_published_layout_is_read_as_it_is(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    for _ in range(2):  # decoded, then from the cache
        data = dc.data.load(f"folder:{root}")
        assert (data.class_names, data.train.counts, data.test.counts) == (CLASSES, (4, 4, 4), (2, 2, 2))
        images = root / "val" / "images"
        of_first, of_last = (pixels(*(images / f"val_{i}.JPEG" for i in which)) for which in ((2, 5), (1, 4)))
        np.testing.assert_array_equal(data.test.image[:2], of_first)
        np.testing.assert_array_equal(data.test.image[4:], of_last)
        own = root / "train" / CLASSES[1] / "images"
        np.testing.assert_array_equal(data.train.image[4:8], pixels(*sorted(own.iterdir())))


def test_a_change_of_the_annotations_alone_is_seen(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    before = dc.data.load(f"folder:{root}").test
    path = root / "val" / "val_annotations.txt"
    swapped = path.read_text().replace(CLASSES[0], "x").replace(CLASSES[1], CLASSES[0]).replace("x", CLASSES[1])
    path.write_text(swapped.replace("\n", "\r\n") + "\r\n")  # as another system's editor leaves it
    after = dc.data.load(f"folder:{root}").test
    np.testing.assert_array_equal(after.image[:2], before.image[2:4])
    np.testing.assert_array_equal(after.image[2:4], before.image[:2])


def test_without_annotations_nothing_is_set_aside_in_silence(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    (root / "val" / "val_annotations.txt").unlink()
    with pytest.raises(dc.InputError, match=r"val has images of no class: put val_annotations\.txt beside"):
        dc.data.load(f"folder:{root}")
    (root / "val").rename(root / "other")
    (root / "test").rename(root / "more")
    assert dc.data.load(f"folder:{root}").test.counts == (1, 1, 1)


def test_validation_images_that_were_sorted_into_classes_are_the_test_split(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    (root / "val").rename(root / "before")
    for name in CLASSES:
        picture(root / "val" / name / "images" / "x.JPEG")
        picture(root / "val" / name / "images" / "y.JPEG")
    assert dc.data.load(f"folder:{root}").test.counts == (2, 2, 2)


@pytest.mark.parametrize("grey", ["train/n01443537/images/n01443537_0.JPEG", "val/images/val_0.JPEG"])
def test_grey_pictures_among_coloured_ones_become_coloured(grey, tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    picture(root / grey, mode="L")
    data = dc.data.load(f"folder:{root}")
    expected = np.repeat(pixels(root / grey)[..., None], 3, -1)[0]
    split = data.train if grey.startswith("train") else data.test
    assert any(np.array_equal(image, expected) for image in np.asarray(split.image))
    assert data.image_shape == (8, 8, 3)


def test_pictures_that_are_all_grey_stay_so(tmp_path):
    for name in CLASSES[:2]:
        for i in range(3):
            picture(tmp_path / name / f"{i}.JPEG", mode="L")
    assert dc.data.load(f"folder:{tmp_path}").image_shape == (8, 8, 1)


def rewritten(change):
    def damage(root):
        path = root / "val" / "val_annotations.txt"
        path.write_text(change(path.read_text()))

    return damage


def as_pipe(root):
    (root / "val" / "val_annotations.txt").unlink()
    os.mkfifo(root / "val" / "val_annotations.txt")


NAMES = "/val/val_annotations.txt"
DAMAGES = {
    "a missing image": (
        lambda root: (root / "val" / "images" / "val_3.JPEG").unlink(),
        f"{NAMES} names 'val_3.JPEG', which is no image in images: put it there or remove the line.",
    ),
    "an image elsewhere": (
        rewritten(lambda text: text.replace("val_3", "../../train/n01443537/images/n01443537_0")),
        "n01443537_0.JPEG', which is no image in images: put it there or remove the line.",
    ),
    "an unknown class": (
        rewritten(lambda text: text.replace(f"val_4.JPEG\t{CLASSES[2]}", "val_4.JPEG\tn9")),
        f"{NAMES} says that 'val_4.JPEG' is of class 'n9', which has no training folder: repair the line or add the class.",
    ),
    "no annotation": (
        rewritten(lambda text: "".join(text.splitlines(keepends=True)[:-1])),
        f"val_5.JPEG has no line in {{root}}{NAMES}: add one with its class, or remove it.",
    ),
    "two annotations": (
        rewritten(lambda text: text + f"val_1.JPEG\t{CLASSES[0]}\n"),
        f"Line 7 of {{root}}{NAMES} names 'val_1.JPEG' again, after line 2: remove one of them.",
    ),
    "spaces": (
        rewritten(lambda text: text.replace("val_2.JPEG\t", "val_2.JPEG ")),
        f"Line 3 of {{root}}{NAMES} names 'val_2.JPEG {CLASSES[0]}', which is no image in images",
    ),
    "one column": (
        rewritten(lambda text: text + "val_2.JPEG\n"),
        f"Line 7 of {{root}}{NAMES} is 'val_2.JPEG', but holds the name of an image, a tab and its class: repair it.",
    ),
    "a class left out": (
        lambda root: picture(root / "train" / "n02" / "images" / "x.JPEG"),
        "Class 'n02' of {root} (test) has no images",
    ),
    "no text": (
        lambda root: (root / "val" / "val_annotations.txt").write_bytes(b"\xff\xfe\x00"),
        f"{NAMES} cannot be read ('utf-8' codec",
    ),
    "a pipe": (as_pipe, f"{NAMES} is no regular file"),
    "a link to nothing": (
        lambda root: (
            (root / "val" / "val_annotations.txt").unlink() or (root / "val" / "val_annotations.txt").symlink_to("x")
        ),
        f"{NAMES} is no regular file",
    ),
    "no images": (
        lambda root: (root / "val" / "images").rename(root / "elsewhere"),
        "/val has val_annotations.txt but no folder images: put the images that it names into {root}/val/images.",
    ),
    "nothing": (rewritten(lambda text: ""), f"val_0.JPEG has no line in {{root}}{NAMES}"),
    "a class of nothing": (
        lambda root: [file.unlink() for file in (root / "train" / CLASSES[1] / "images").iterdir()],
        f"Class '{CLASSES[1]}' of {{root}} (train) has no images",
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", DAMAGES)
def test_what_does_not_fit_is_named_in_one_sentence(case, tmp_path):
    damage, expected = DAMAGES[case]
    root = tiny_imagenet(tmp_path / "tiny")
    damage(root)
    with pytest.raises(dc.InputError) as caught:
        dc.data.load(f"folder:{root}")
    said = str(caught.value)
    assert expected.format(root=root) in said
    assert len(said.splitlines()) == 1


def test_annotations_that_stayed_behind_when_images_were_sorted_say_nothing(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    for i in range(6):
        target = root / "val" / CLASSES[i % 3] / f"val_{i}.JPEG"
        target.parent.mkdir(exist_ok=True)
        (root / "val" / "images" / target.name).rename(target)
    assert dc.data.load(f"folder:{root}").test.counts == (2, 2, 2)


def test_a_test_folder_with_classes_comes_before_annotated_images(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    for name in CLASSES:
        picture(root / "test" / name / "0.png")
    (root / "test" / ".ipynb_checkpoints").mkdir()
    (root / "test" / "images" / "test_0.JPEG").unlink()
    (root / "test" / "images").rmdir()
    assert dc.data.load(f"folder:{root}").test.counts == (1, 1, 1)


def test_a_class_with_images_in_two_places_is_refused(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    picture(root / "train" / CLASSES[0] / "thumb.png")
    with pytest.raises(
        dc.InputError, match=r"n01443537 has images both in itself, such as thumb.png, and in its folder images"
    ):
        dc.data.load(f"folder:{root}")


def test_marks_of_other_systems_are_passed_over(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    path = root / "val" / "val_annotations.txt"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    (root / "val" / "images" / "._val_0.JPEG").write_bytes(b"no picture")
    assert dc.data.load(f"folder:{root}").test.counts == (2, 2, 2)
