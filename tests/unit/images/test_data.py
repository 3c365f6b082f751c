"""Folders of classes and npz files: what is read, what is left out, what is refused."""

import io
import zipfile

import numpy as np
import pytest
from small_pictures import pictures

from vidal.errors import FormatError, InputError
from vidal.images.data import load_images
from vidal.images.folders import read_flat
from vidal.images.labelled_files import read_labelled
from vidal.images.stored import digest, store_images, stored_images
from vidal.video.images import save_jpeg


def rng():
    return np.random.default_rng(0)


def colour(value, size=(8, 8)):
    return np.full((*size, 3), value, np.uint8) + np.array([0, 20, 40], np.uint8)


def folder(root, parts=("train", "test"), classes=("cat", "dog"), count=3, size=(8, 8)):
    for part in parts:
        for number, name in enumerate(classes):
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                save_jpeg(root / part / name / f"{i}.jpg", colour(40 + 90 * number + i, size))
    return root


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_train_and_test_folders_are_read_with_their_names(tmp_path):
    data = load_images(folder(tmp_path))
    assert data.classes == ("cat", "dog")
    assert data.train.pixels.shape == (6, 8, 8, 3)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.names[0] == "train/cat/0.jpg"
    assert len(data.test) == 6
    assert data.skipped == ()


@pytest.mark.parametrize("part", ["val", "valid", "validation"])
def test_a_validation_folder_stands_for_a_missing_test_folder(tmp_path, part):
    assert len(load_images(folder(tmp_path, ("train", part))).test) == 6


def test_without_a_test_folder_a_seeded_share_of_each_class_is_set_aside(tmp_path):
    root = folder(tmp_path, ("",), count=10)
    data = load_images(root, test=0.3, seed=1)
    assert np.bincount(data.test.labels).tolist() == [3, 3]
    assert not set(data.test.names) & set(data.train.names)
    again, other = load_images(root, test=0.3, seed=1), load_images(root, test=0.3, seed=2)
    assert data.test.names.tolist() == again.test.names.tolist()
    assert data.test.names.tolist() != other.test.names.tolist()


def test_files_that_are_no_pictures_are_left_out_and_listed(tmp_path):
    root = folder(tmp_path)
    (root / "train" / "cat" / "notes.txt").write_text("x")
    (root / "train" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    (root / "train" / "cat" / ".DS_Store").write_text("x")
    (root / "train" / "cat" / "more").mkdir()
    (root / "train" / "stray.jpg").write_bytes(b"x")
    data = load_images(root)
    assert len(data.train) == 6
    assert [each.partition(":")[0] for each in sorted(data.skipped)] == [
        "train/cat/broken.jpg",
        "train/cat/more",
        "train/cat/notes.txt",
        "train/stray.jpg",
    ]


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    root = folder(tmp_path)
    save_jpeg(root / "train" / "cat" / "big.jpg", colour(50, (16, 12)))
    with pytest.raises(InputError, match=r"12 x 16 pixels, .* has 8 x 8") as caught:
        load_images(root)
    assert "data.size" in caught.value.hint
    assert load_images(root, size=10).train.pixels.shape == (7, 10, 10, 3)


def test_grey_pictures_have_one_channel(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            save_jpeg(tmp_path / name / f"{i}.jpg", np.full((8, 8, 3), 90, np.uint8))
    assert load_images(tmp_path).train.pixels.shape == (2, 8, 8, 1)


def lacking_class(root):
    folder(root)
    (root / "test" / "dog").rename(root / "dog-gone")


def strange_class(root):
    folder(root)
    (root / "test" / "fox").mkdir()


def empty_class(root):
    folder(root)
    (root / "train" / "ant").mkdir()
    (root / "test" / "ant").mkdir()


def one_picture(root):
    folder(root, ("",), count=1)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda root: None, "no folders of classes"),
        (lambda root: folder(root, classes=("cat",)), "two classes are needed"),
        (lacking_class, "no folder of class dog"),
        (strange_class, "class fox is not among those of train"),
        (empty_class, "ant: no picture that can be read"),
        (one_picture, "class cat: one picture"),
        (lambda root: folder(root, size=(6, 6)), "less than 8 pixels"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_by_name(tmp_path, make, why):
    make(tmp_path)
    with pytest.raises(InputError, match=why):
        load_images(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_x", "train_y", "test_x", "test_y"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "val_images", "val_labels"),
    ],
)
def test_arrays_are_found_under_the_usual_names(tmp_path, names):
    x, y = pictures(20, rng())
    path = saved(tmp_path / "a.npz", **dict(zip(names, (x, y, x[:8], y[:8]), strict=True)))
    data = load_images(path)
    assert data.classes == ("0", "1", "2", "3")
    assert (len(data.train), len(data.test)) == (20, 8)
    np.testing.assert_array_equal(data.train.pixels, x)


def test_an_npz_without_a_test_part_is_split(tmp_path):
    x, y = pictures(20, rng())
    data = load_images(saved(tmp_path / "a.npz", x=x, y=y), test=0.4)
    assert (len(data.train), len(data.test)) == (12, 8)


@pytest.mark.parametrize(
    ("change", "shape"),
    [
        (lambda x: x[..., 0], (8, 8, 1)),
        (lambda x: np.moveaxis(np.repeat(x, 3, axis=3) + np.arange(3), 3, 1), (8, 8, 3)),
        (lambda x: (x / 255).astype(np.float32), (8, 8, 1)),
        (lambda x: x.astype(np.int64), (8, 8, 1)),
    ],
)
def test_pixels_may_be_grey_channels_first_fractions_or_whole_numbers(tmp_path, change, shape):
    x, y = pictures(12, rng())
    x = np.minimum(x, 250)
    data = load_images(saved(tmp_path / "a.npz", x=change(x), y=y))
    assert data.train.pixels.shape[1:] == shape
    assert data.train.pixels.dtype == np.uint8
    places = [int(name[2:-1]) for name in data.train.names]
    np.testing.assert_array_equal(data.train.pixels[..., 0], x[places, ..., 0])


def test_labels_may_be_text_one_column_or_numbers_with_gaps(tmp_path):
    x, y = pictures(12, rng(), classes=3)
    named = np.array(["bus", "car", "ant"])[y]
    assert load_images(saved(tmp_path / "a.npz", x=x, y=named)).classes == ("ant", "bus", "car")
    assert load_images(saved(tmp_path / "b.npz", x=x, y=7 * y[:, None])).classes == ("0", "7", "14")
    words = np.array(["zero", "one", "two"])
    assert load_images(saved(tmp_path / "c.npz", x=x, y=y, classes=words)).classes == tuple(words)


X, Y = pictures(12, rng())


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"a": X}, "no x_train and y_train .it holds a"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "x_test: its labels are missing"),
        ({"x": X, "y": Y[:-1]}, "12 pictures in x, 11 labels in y"),
        ({"x": X[0, 0], "y": Y}, "x: shape"),
        ({"x": np.zeros((12, 8, 8, 2), np.uint8), "y": Y}, "2 channels"),
        ({"x": X * 3.0, "y": Y}, "neither 0..255 nor in"),
        ({"x": np.full((12, 8, 8), np.nan), "y": Y}, "not finite"),
        ({"x": X, "y": Y + 0.5}, "neither whole numbers nor text"),
        ({"x": X, "y": Y - 1}, "a label below 0"),
        ({"x": X, "y": np.eye(4)[Y]}, "one label a picture"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b"])}, "classes: 2 names"),
        ({"x": X, "y": np.array([{}] * 12, object)}, "not an npz"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :, :7], "y_test": Y}, "of the train part are"),
        ({"x_train": X, "y_train": Y, "x_test": X[Y < 3], "y_test": Y[Y < 3]}, "no picture of 3"),
        ({"x": X, "y": np.array([b"\xff%d" % y for y in Y])}, "y: bytes that are no text"),
        ({"x": X, "y": np.array(["", "a", "b", "c"])[Y]}, "y: '' is no name of a class"),
        ({"x": X, "y": np.array(["a\nb", "a", "b", "c"])[Y]}, "is no name of a class"),
        ({"x": X, "y": Y, "classes": np.array([" ", "a", "b", "c"])}, "classes: ' ' is no name"),
        ({"x": X, "y": Y.astype(np.uint64) + np.uint64(2**63)}, "y: labels of over 2.62"),
        ({"x": X.astype(complex), "y": Y}, "complex128 values, which are no pixels"),
    ],
)
def test_an_npz_that_cannot_be_used_is_refused_by_name(tmp_path, arrays, why):
    with pytest.raises(InputError, match=why):
        load_images(saved(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not an npz"):
        load_images(path)
    with pytest.raises(InputError, match="no such file"):
        load_images(tmp_path / "none")


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def header(*shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no array", "it holds nothing"),
        (header(10**13, 28, 28), "memory"),
        (header(-3, 28, 28), "not an npz"),
        (header(12, 8, 8), "not an npz"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((((", "not an npz"),
    ],
)
def test_an_archive_without_whole_arrays_is_refused(tmp_path, content, why):
    name = "x_train.npy" if isinstance(content, bytes) else "x_train"
    path = archive(tmp_path / "a.npz", **{name: content, name.replace("x_", "y_"): content})
    with pytest.raises(InputError, match=why):
        load_images(path)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InputError, match="not an npz file"):
        load_images(tmp_path / "a.npy")


def test_text_labels_of_bytes_and_numbers_of_several_widths_are_the_same_classes(tmp_path):
    names = np.array([b"cat", b"dog", b"cow", b"ox"])
    data = load_images(saved(tmp_path / "a.npz", x=X, y=Y.astype(np.uint64), classes=names))
    assert data.classes == ("cat", "dog", "cow", "ox")
    both = {"x_train": X, "y_train": Y.astype(np.uint64), "x_test": X, "y_test": Y}
    assert load_images(saved(tmp_path / "b.npz", **both)).classes == ("0", "1", "2", "3")


def listed(root, rows):
    folder(root, ("",))
    path = root / "labels.csv"
    path.write_text("file,label\n" + rows)
    return read_labelled(path, root, size=None)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("cat/0.jpg,a\ndog/../cat/0.jpg,b\n", "line 3: dog/../cat/0.jpg is there twice .line 2"),
        ("cat/0.jpg,a\ncat/none.jpg,b\n", "line 3: 'cat/none.jpg' is no picture"),
        ('cat/0.jpg,"a\nb"\n', "line 3: label 'a.nb' is no text of one line"),
        ("cat/0.jpg,a,b\n", "line 2: label 'a' is no text of one line, or more cells"),
        ("cat/0.jpg," + "x" * 200_000 + "\n", "no csv that can be read"),
        ('cat/0.jpg,"a', "no csv that can be read"),
    ],
)
def test_a_table_of_labels_that_cannot_be_meant_is_refused_by_line(tmp_path, rows, why):
    with pytest.raises(FormatError, match=why):
        listed(tmp_path, rows)


def test_a_link_to_a_labelled_picture_is_that_picture(tmp_path):
    folder(tmp_path, ("",))
    (tmp_path / "link.jpg").symlink_to(tmp_path / "cat" / "0.jpg")
    with pytest.raises(FormatError, match="twice"):
        listed(tmp_path, "cat/0.jpg,a\nlink.jpg,b\n")


def test_a_broken_npz_is_refused(tmp_path):
    whole = saved(tmp_path / "a.npz", x=X, y=Y).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not an npz"):
        load_images(tmp_path / "b.npz")


def test_a_flat_folder_gives_all_pictures_below_it(tmp_path):
    folder(tmp_path)
    found, skipped = read_flat(tmp_path)
    assert len(found) == 12
    assert (found.labels == -1).all()
    assert skipped == ()


def test_stored_images_are_those_that_were_given(tmp_path, npz):
    data = load_images(npz)
    store_images(tmp_path, data)
    store_images(tmp_path, data)
    again = stored_images(tmp_path)
    assert digest(again) == digest(data)
    assert again.train.names.tolist() == data.train.names.tolist()
