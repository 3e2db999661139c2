"""Files of arrays that are damaged, or made to do harm: each brings one sentence, at once, and no memory is asked for."""

import os
import struct
import time
import zipfile

import numpy as np
import pytest

from dcjax import InputError, files

FLOATS = "'<f4'"


def member(shape="(4,)", descr=FLOATS, body=b"", header=None, version=(1, 0)):
    """An array as NumPy writes it, with a header that says what it likes."""
    text = header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text.encode("latin1") + body


def packed(*members, compression=zipfile.ZIP_STORED):
    """Makes a zip file of pairs (name, content)."""

    def make(path):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return make


def array(**claims):
    return packed(("images.npy", member(**claims)))


def saved(path):
    np.savez_compressed(path, images=np.arange(4000, dtype=np.float32))


def patched(make, signature, offset, value):
    """Replaces bytes at an offset in the first record of a zip file that begins with a signature."""

    def damage(path):
        make(path)
        content = bytearray(path.read_bytes())
        at = content.index(signature) + offset
        content[at : at + len(value)] = value
        path.write_bytes(content)

    return damage


def cut(path):
    saved(path)
    path.write_bytes(path.read_bytes()[:-60])


def flipped(path):
    saved(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def pickled(path):
    np.savez(path, images=np.array([{"a": 1}], object))


def dangling(path):
    path.symlink_to(path.with_name("nothing"))


def looping(path):
    path.symlink_to(path)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
MISFIT = "is damaged or no .npz file (the header of 'images.npy' does not go with its"
UNREAD = "is damaged or no .npz file ('images.npy' does not begin as an array does): copy or make it again."
IRREGULAR = "is no regular file, as a folder, a pipe or a broken link is none: give an .npz file."
TABLE = {
    "10^15 elements": (array(shape=(10**15,)), f"{MISFIT} 0 bytes): copy or make it again."),
    "10^300 elements": (array(shape=(10**300,)), MISFIT),
    "negative": (array(shape=(-4,), body=bytes(16)), f"{MISFIT} 16 bytes)"),
    "twice negative": (array(shape=(-2, -2), body=bytes(16)), f"{MISFIT} 16 bytes)"),
    "no bytes each": (array(shape=(10**15,), descr="'|S0'"), MISFIT),
    "nothing each": (array(shape=(10**15,), descr="'|V0'"), MISFIT),
    "no fields": (array(shape=(10**15,), descr="[]"), MISFIT),
    "none, but long": (array(shape=(0, 10**30)), "is damaged or no .npz file ("),
    "many axes": (array(shape=(1,) * 100, body=bytes(4)), "is damaged or no .npz file ("),
    "broken header": (array(header="garbage{{{"), UNREAD),
    "empty header": (array(header="{}"), UNREAD),
    "deep header": (array(header="(" * 9000), UNREAD),
    "long and deep header": (array(header="(" * 60000), UNREAD),
    "deep closed header": (array(header="(" * 9000 + ")" * 900), UNREAD),
    "deep signs": (array(header="-" * 60000 + "1", version=(2, 0)), UNREAD),
    "deep type": (array(descr="[" * 3000 + "]" * 3000), UNREAD),
    "unknown version": (array(version=(9, 0)), UNREAD),
    "no text": (array(shape=(1,), descr="'<U1'", body=b"\xff" * 4), "is damaged or no .npz file ("),
    "half a character": (array(shape=(1,), descr="'<U1'", body=b"\x00\xd8\0\0"), "is damaged or no .npz file ("),
    "empty member": (packed(("images.npy", b"")), UNREAD),
    "no array": (packed(("images.npy", b"hello")), UNREAD),
    "another member": (packed(("read.me", b"hello")), "(it holds 'read.me', which is no array)"),
    "lines in a name": (packed(("a\nb.txt", b"")), r"(it holds 'a\nb.txt', which is no array)"),
    "two of one name": (packed(("a.npy", b""), ("a.npy", b"")), "(it holds two arrays of one name)"),
    "encrypted": (patched(saved, CENTRAL, 8, b"\x01"), "(it is encrypted)"),
    "unknown compression": (patched(saved, CENTRAL, 10, b"\x63"), "(it is compressed in a way that NumPy does not"),
    "other compression": (packed(("a.npy", member()), compression=zipfile.ZIP_LZMA), "in a way that NumPy does not"),
    "claims too much": (
        patched(saved, CENTRAL, 24, struct.pack("<I", 2**32 - 2)),
        "('images.npy' claims to hold more than it can)",
    ),
    "claims what is not there": (
        patched(patched(saved, CENTRAL, 24, struct.pack("<I", 2**31)), CENTRAL, 20, struct.pack("<I", 2**31)),
        "(its arrays claim more bytes than there are in it)",
    ),
    "cut": (cut, "is damaged or no .npz file (File is not a zip file)"),
    "flipped": (flipped, "is damaged or no .npz file ("),
    "text": (lambda path: path.write_text("images, labels\n"), "is damaged or no .npz file (File is not a zip file)"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged or no .npz file (File is not a zip file)"),
    "pickled": (pickled, "('images.npy' holds Python objects, which are never read)"),
    "pipe": (os.mkfifo, IRREGULAR),
    "folder": (os.mkdir, IRREGULAR),
    "dangling link": (dangling, IRREGULAR),
    "looping link": (looping, IRREGULAR),
    "nothing": (lambda path: None, "There is no file"),
}


def sentence(path):
    before = time.perf_counter()
    with pytest.raises(InputError) as caught:
        files.read_npz(path)
    assert time.perf_counter() - before < 5
    given = str(caught.value)
    assert len(given.splitlines()) == 1
    assert len(given) < 1000
    assert "pickle" not in given
    return given


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", TABLE)
def test_a_damaged_file_is_one_sentence(case, tmp_path):
    make, expected = TABLE[case]
    make(tmp_path / "x.npz")
    given = sentence(tmp_path / "x.npz")
    assert expected in given
    assert str(tmp_path) in given


def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    saved(tmp_path / "x.npz")
    monkeypatch.setattr(files.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 10000}))
    assert "(it takes 0 GiB, more than this machine's memory)" in sentence(tmp_path / "x.npz")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    saved(tmp_path / "x.npz")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root, who may read all
    assert "may not be read: give yourself the right to" in sentence(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x" * 300, "cannot be the path of an .npz file (File name too long): give another."),
        ("a\0b", "There is no file"),
    ],
)
def test_a_path_that_cannot_be_is_one_sentence(name, expected, tmp_path):
    assert expected in sentence(tmp_path / name)


def test_a_good_file_is_read_in_the_byte_order_of_the_machine(tmp_path):
    given = {"a": np.arange(6, dtype=">f4").reshape(2, 3), "b/c": np.array(3), "names": np.array(["é", "b"])}
    np.savez(tmp_path / "x.npz", **given)
    read = files.read_npz(tmp_path / "x.npz")
    assert read["a"].dtype.isnative
    for name, value in given.items():
        np.testing.assert_array_equal(read[name], value)


JSON = {
    "list": (b"[]", "(it holds a list instead of an object): remove it."),
    "null": (b"null", "(it holds null instead of an object)"),
    "number": (b"3", "(it holds a number instead of an object)"),
    "deep": (b"[" * 100000, "is damaged (maximum recursion depth"),
    "bytes": (bytes(range(128, 200)), "is damaged ("),
    "cut": (b'{"a": ', "is damaged ("),
}


@pytest.mark.parametrize("case", JSON)
def test_damaged_json_is_one_sentence(case, tmp_path):
    content, expected = JSON[case]
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        files.read_json(tmp_path / "x.json", "remove it")
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "x").write_text("before")
    (tmp_path / "folder").mkdir()
    with pytest.raises(files.WriteError, match=r"folder cannot be written \(Is a directory\): make room"):
        files.write_text(tmp_path / "folder", "after")
    with pytest.raises(files.WriteError, match=r"y cannot be written \(Not a directory\)"):
        files.write_npz(tmp_path / "x" / "y", {})
    with pytest.raises(TypeError):
        files.write_text(tmp_path / "x", 3)  # once the file beside it is open
    assert (tmp_path / "x").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"x", "folder"}
