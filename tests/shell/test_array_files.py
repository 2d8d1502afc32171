"""Files of arrays: NumPy's, MATLAB's and IDX; what is read in them, and what is refused."""

import gzip
import os
import pickle
import re
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from jaxnaive.data import array_files, idx, matlab, reading, sources

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
X_TEST, Y_TEST = RNG.normal(size=(3, 4)), np.array([2, 1, 0])

PAIRS = [
    ("X", "y"), ("x", "Y"), ("x_train", "y_train"), ("X_train", "y_train"), ("X_TRAIN", "Y_TRAIN"),
    ("train_images", "train_labels"), ("images", "labels"), ("data", "target"), ("data", "labels"),
    ("data", "label"), ("inputs", "targets"), ("features", "labels"),
]  # fmt: skip
WITH_TEST = [
    ("X", "y", "X_test", "y_test"), ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("images", "labels", "test_images", "test_labels"),
]  # fmt: skip


class Trap:
    """When it is unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def refused(kind, message):
    """Expects an error of exactly this kind, in one line."""
    return pytest.raises(kind, match=rf"\A[^\n]*{message}[^\n]*\Z")


def assert_is(raw, inputs, labels):
    np.testing.assert_array_equal(raw.inputs, inputs)
    np.testing.assert_array_equal(raw.labels, labels)
    assert raw.inputs.dtype == inputs.dtype and raw.labels.dtype == labels.dtype


# --- .npz ------------------------------------------------------------------------------------------------


def save_npz(path, arrays: Any):
    np.savez_compressed(path, **dict(arrays))


@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_an_npz_file_holds_a_pair_under_any_of_its_names(tmp_path, names):
    save_npz(tmp_path / "a.npz", zip(names, (X, Y), strict=True))
    raw = array_files.read_npz(tmp_path / "a.npz")
    assert_is(raw, X, Y)
    assert raw.test is None and raw.class_names is None and raw.notes == ()


@pytest.mark.parametrize("names", WITH_TEST, ids=" ".join)
def test_an_npz_file_may_come_with_a_test_set(tmp_path, names):
    save_npz(tmp_path / "a.npz", zip(names, (X, Y, X_TEST, Y_TEST), strict=True))
    raw = array_files.read_npz(tmp_path / "a.npz")
    assert_is(raw, X, Y)
    assert_is(raw.test, X_TEST, Y_TEST)


@pytest.mark.parametrize("names", [["ant", "bee", "fly"], [b"ant", b"bee", b"fly"]])
def test_class_names_are_read_if_they_are_texts_and_what_is_not_used_is_said(tmp_path, names):
    np.savez(tmp_path / "a.npz", data=X, target=Y, target_names=np.array(names), DESCR=np.array("about"))
    raw = array_files.read_npz(tmp_path / "a.npz")
    assert raw.class_names == ("ant", "bee", "fly")
    assert raw.notes == ("not used: DESCR <U5 ()",)
    np.savez(tmp_path / "b.npz", X=X, y=Y, class_names=np.arange(3))
    raw = array_files.read_npz(tmp_path / "b.npz")
    assert raw.class_names is None and raw.notes == ("not used: class_names int64 (3,)",)


def test_arrays_keep_their_types_and_their_order(tmp_path):
    inputs = np.asfortranarray(RNG.integers(0, 256, (5, 3, 2), np.uint8))
    labels = np.array(["a", "b", "a", "b", "a"])
    np.savez(tmp_path / "a.npz", X=inputs, y=labels)
    assert_is(array_files.read_npz(tmp_path / "a.npz"), inputs, labels)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X, "b": Y}, r"a\.npz: got a float64 \(6, 4\), b int64 \(6,\), expected a pair called X"),
        ({}, "a.npz: got no arrays, expected a pair called"),
        ({"X": X}, "expected a pair called X and y; x_train and y_train; train_images and train_labels"),
        ({"X": X, "y": Y, "data": X, "Target": Y}, "got several pairs, X and y; data and Target"),
        ({"X": X, "x": X, "y": Y}, "got both X and x, expected one of them"),
        ({"X": X, "y": Y, "x_test": X}, "got x_test alone, expected X_test and y_test, or neither"),
        ({"X": X, "y": Y[:5]}, r"inputs of shape \(6, 4\) and labels of shape \(5,\), expected a label"),
        ({"X": X, "y": Y, "X_test": X, "y_test": Y[:5]}, r"test inputs of shape \(6, 4\) and test labels"),
        ({"X": X, "y": Y, "class_names": np.array([b"\xff"])}, "class_names: got a damaged file .*UTF-8"),
    ],
)  # fmt: skip
def test_an_npz_file_without_a_clear_pair_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with refused(ValueError, message):
        array_files.read_npz(tmp_path / "a.npz")


def test_python_objects_in_an_npz_file_are_refused_and_not_run(tmp_path):
    objects = np.array([Trap(tmp_path / "sprung")] * 6)
    np.savez(tmp_path / "a.npz", X=X, y=objects)
    with refused(
        ValueError, r"a\.npz: y: holds Python objects \(a pickle\), which could run a program; save"
    ):
        array_files.read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", X=X, y=Y, others=objects)
    assert array_files.read_npz(tmp_path / "b.npz").notes == ("not used: others object (6,)",)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(objects))  # the trap does work
    assert (tmp_path / "sprung").exists()


def damaged_member(content):
    """The bytes of a compressed file in which only one bit of the packed data is another."""
    place = content.index(b"X.npy") + 200
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"PK no",
        damaged_member,
    ],
)
def test_an_npz_file_that_is_not_whole_is_refused(tmp_path, damage):
    np.savez_compressed(tmp_path / "a.npz", X=X, y=Y)
    (tmp_path / "a.npz").write_bytes(damage((tmp_path / "a.npz").read_bytes()))
    with refused(
        ValueError, r"a\.npz.*: got a damaged file or one of another kind \(.+\), expected an \.npz"
    ):
        array_files.read_npz(tmp_path / "a.npz")


def test_every_cut_and_many_changed_bytes_of_a_file_give_arrays_or_one_line(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X=X, y=Y)
    content = (tmp_path / "a.npz").read_bytes()
    for place in range(0, len(content), 7):
        for damaged in (content[:place], content[:place] + b"\xee" + content[place + 1 :]):
            (tmp_path / "b.npz").write_bytes(damaged)
            try:
                array_files.read_npz(tmp_path / "b.npz")
            except ValueError as error:
                assert "\n" not in str(error) and "b.npz" in str(error)


def test_a_member_that_is_not_as_large_as_its_array_is_refused(tmp_path):
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 4), }"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", (header % 10**12).ljust(127) + b"\n" + X.tobytes())
        archive.writestr("y.npy", (header % 6).ljust(127) + b"\n" + X.tobytes())
    with refused(
        ValueError, r"X: got 320 bytes, expected 32,000,000,000,128 for float64 \(1000000000000, 4\)"
    ):
        array_files.read_npz(tmp_path / "a.npz")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((1000, 1000)), y=np.zeros(1000))
    assert array_files.read_npz(tmp_path / "a.npz").inputs.shape == (1000, 1000)
    monkeypatch.setattr(reading, "BOMB_BYTES", 10**6)
    monkeypatch.setattr(reading, "BOMB_RATIO", 100)
    with refused(
        ValueError, r"X: got \d,\d\d\d bytes that unpack to 8,000,128 or more, expected at most 100 "
    ):
        array_files.read_npz(tmp_path / "a.npz")


def test_a_large_file_that_is_packed_no_better_than_others_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BOMB_BYTES", 10)
    save_npz(tmp_path / "a.npz", {"X": X, "y": Y})
    assert_is(array_files.read_npz(tmp_path / "a.npz"), X, Y)


def test_what_a_library_says_becomes_one_line_and_what_the_system_says_stays():
    message = r"a: got a damaged file or one of another kind \(two lines\), expected b; save or download"
    with refused(ValueError, message), reading.damage_named("a", "b"):
        raise RuntimeError("two\n lines")
    with pytest.raises(PermissionError), reading.damage_named("a", "b"):
        raise PermissionError(13, "not allowed")


def test_a_later_version_of_the_format_is_refused(tmp_path):
    (tmp_path / "X.npy").write_bytes(b"\x93NUMPY\x09\x00v\x00")
    with refused(ValueError, r"\(version \(9, 0\) of the format\)"):
        array_files.open_npy(tmp_path / "X.npy")


@pytest.mark.parametrize(
    "read", [array_files.read_npz, array_files.open_npy, array_files.read_npy, matlab.read_mat]
)
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, read):
    with refused(FileNotFoundError, "X: there is no such file"):
        read(tmp_path / "X")
    os.mkfifo(tmp_path / "X")
    with refused(ValueError, "X: got a folder, a pipe or a device, expected a file"):
        read(tmp_path / "X")


# --- .npy ------------------------------------------------------------------------------------------------


def save_npy(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_an_npy_file_finds_its_partner_and_so_does_their_folder(tmp_path, names):
    save_npy(tmp_path, **dict(zip(names, (X, Y), strict=True)), others=np.zeros(3))
    assert array_files.is_npy_folder(tmp_path)
    for path in (tmp_path, *(tmp_path / f"{name}.npy" for name in names)):
        raw = array_files.read_npy(path)
        assert_is(raw, X, Y)
        assert isinstance(raw.inputs, np.memmap) and not raw.inputs.flags.writeable


@pytest.mark.parametrize("names", WITH_TEST, ids=" ".join)
def test_npy_files_may_come_with_a_test_set_and_class_names(tmp_path, names):
    save_npy(
        tmp_path, **dict(zip(names, (X, Y, X_TEST, Y_TEST), strict=True)), class_names=np.array(list("abc"))
    )
    for path in (tmp_path, *(tmp_path / f"{name}.npy" for name in names)):
        raw = array_files.read_npy(path)
        assert_is(raw, X, Y)
        assert_is(raw.test, X_TEST, Y_TEST)
        assert raw.class_names == ("a", "b", "c")


def test_an_npy_file_names_which_of_several_pairs_it_is_of(tmp_path):
    save_npy(tmp_path, X=X, y=Y, images=X[:3], labels=Y[:3])
    assert_is(array_files.read_npy(tmp_path / "X.npy"), X, Y)
    assert_is(array_files.read_npy(tmp_path / "labels.npy"), X[:3], Y[:3])
    with refused(ValueError, "got several pairs, X and y; images and labels, expected one"):
        array_files.read_npy(tmp_path)


def test_an_npy_file_without_a_partner_is_refused(tmp_path):
    save_npy(tmp_path, X=X, mine=Y)
    for name in ("X", "mine"):
        with refused(ValueError, rf"{name}\.npy: got X\.npy, mine\.npy, .*X and y; .*load\(\(x, y\)\)"):
            array_files.read_npy(tmp_path / f"{name}.npy")


def test_a_folder_of_other_files_is_no_folder_of_npy_files(tmp_path):
    save_npy(tmp_path, weights=X)
    (tmp_path / "X.txt").touch()
    (tmp_path / "y.npy").mkdir()
    assert not array_files.is_npy_folder(tmp_path)


def npy(tmp_path, array):
    np.save(tmp_path / "made.npy", array)
    return (tmp_path / "made.npy").read_bytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: b"", r"got a damaged file .*, expected an \.npy file, as np\.save writes it; save"),
        (lambda folder: npy(folder, X)[:50], "got a damaged file"),
        (
            lambda folder: npy(folder, X)[:-1],
            r"got 319 bytes, expected 320 for float64 \(6, 4\); save it again",
        ),
        (lambda folder: npy(folder, X) + b"\0", "got 321 bytes, expected 320"),
        (lambda folder: npy(folder, np.array([Trap(folder / "sprung")])), "holds Python objects"),
        (lambda folder: pickle.dumps(Trap(folder / "sprung")), "got a damaged file or one of another kind"),
        (
            lambda folder: zipfile.ZipFile(folder / "z", "w").close() or (folder / "z").read_bytes(),
            "got a damaged",
        ),
    ],
)
def test_an_npy_file_that_is_not_whole_or_holds_objects_is_refused(tmp_path, make, message):
    (tmp_path / "X.npy").write_bytes(make(tmp_path))
    save_npy(tmp_path, y=Y)
    for read in (array_files.open_npy, array_files.read_npy):
        with refused(ValueError, rf"X\.npy: {message}"):
            read(tmp_path / "X.npy")
    assert not (tmp_path / "sprung").exists()


def test_an_array_without_examples_is_still_an_array(tmp_path):
    save_npy(tmp_path, X=X[:0])
    assert array_files.open_npy(tmp_path / "X.npy").shape == (0, 4)


# --- MATLAB ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_a_mat_file_holds_a_pair_under_any_of_its_names(tmp_path, names):
    arrays = dict(zip(names, (X, Y[:, None].astype(float)), strict=True))
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    assert_is(matlab.read_mat(tmp_path / "a.mat"), X, Y[:, None].astype(float))


def test_matlab_examples_along_the_last_axis_are_moved_to_the_first(tmp_path):
    pictures = RNG.integers(0, 256, (6, 5, 4, 3), np.uint8)
    labels = np.arange(1, 7, dtype=np.uint8)
    one_hot = np.eye(3)[Y]
    for stored, labels_stored, inputs, expected in (
        (np.moveaxis(pictures, 0, -1), labels[:, None], pictures, labels[:, None]),  # SVHN
        (np.moveaxis(pictures, 0, -1), labels, pictures, labels[:, None]),  # savemat makes it a row
        (X.T, one_hot.T, X, one_hot),  # of the toolbox for networks
        (X, one_hot, X, one_hot),
        (X, labels, X, labels[:, None]),
        (X[:, :1].T, labels, X[:, :1], labels[:, None]),
    ):
        arrays = {"X": stored, "y": labels_stored, "X_test": stored, "y_test": labels_stored}
        scipy.io.savemat(tmp_path / "a.mat", arrays, do_compression=True)
        raw = matlab.read_mat(tmp_path / "a.mat")
        assert_is(raw, inputs, expected)
        assert_is(raw.test, inputs, expected)


def test_matlab_texts_are_class_names_and_labels(tmp_path):
    cells = np.array([["ant"], ["bee"], ["fly"]], object)
    scipy.io.savemat(tmp_path / "a.mat", {"X": X, "y": Y + 1.0, "class_names": cells, "other": {"a": 1}})
    raw = matlab.read_mat(tmp_path / "a.mat")
    assert raw.class_names == ("ant", "bee", "fly")
    np.testing.assert_array_equal(raw.labels[:, 0], Y)  # MATLAB counts from 1
    assert raw.notes == ("not used: other struct (1, 1)",)
    scipy.io.savemat(tmp_path / "a.mat", {"X": X, "y": Y + 0.0, "class_names": cells})
    np.testing.assert_array_equal(matlab.read_mat(tmp_path / "a.mat").labels[:, 0], Y)
    scipy.io.savemat(tmp_path / "b.mat", {"X": X, "y": cells[Y]})
    assert matlab.read_mat(tmp_path / "b.mat").labels.tolist() == ["ant", "bee", "fly"] * 2
    scipy.io.savemat(tmp_path / "c.mat", {"X": X, "y": np.array(["ant", "be", "fly"])[Y]})
    assert matlab.read_mat(tmp_path / "c.mat").labels.tolist() == ["ant", "be", "fly"] * 2


def test_a_matlab_logical_is_a_bool(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"X": X, "y": Y[:, None] == 0})
    assert_is(matlab.read_mat(tmp_path / "a.mat"), X, Y[:, None] == 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, r"a\.mat: got a double \(6, 4\), expected a pair called X and y"),
        (
            {"X": scipy.sparse.csc_array(X), "y": Y},
            r"X: got sparse \(6, 4\), expected full numbers.*full\(X\)",
        ),
        ({"X": {"a": X}, "y": Y}, r"X: got struct \(1, 1\), expected full numbers"),
        (
            {"X": X, "y": np.array([X, "a"], object)},
            r"y: got cell \(1, 2\), expected .* a cell array of texts",
        ),
        ({"X": X * 1j, "y": Y}, r"X: got double \(6, 4\), expected full numbers"),
        ({"X": X, "y": Y[:5]}, r"got inputs of shape \(6, 4\) and labels of shape \(5, 1\)"),
    ],
)
def test_a_mat_file_without_a_clear_pair_of_full_arrays_is_refused(tmp_path, arrays, message):
    scipy.io.savemat(tmp_path / "a.mat", arrays)
    with refused(ValueError, message):
        matlab.read_mat(tmp_path / "a.mat")


def test_a_mat_file_that_is_not_whole_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"X": X, "y": Y}, do_compression=True)
    content = (tmp_path / "a.mat").read_bytes()
    for cut in (0, 3, 100, 140, len(content) - 20):
        (tmp_path / "a.mat").write_bytes(content[:cut])
        with refused(ValueError, r"a\.mat"):
            matlab.read_mat(tmp_path / "a.mat")


def test_a_mat_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    scipy.io.savemat(tmp_path / "a.mat", {"X": np.zeros((1000, 1000)), "y": Y}, do_compression=True)
    monkeypatch.setattr(reading, "BOMB_BYTES", 10**5)
    monkeypatch.setattr(reading, "BOMB_RATIO", 10)
    with refused(ValueError, r"X: got \d,\d\d\d bytes that unpack to 8,000,000 or more"):
        matlab.read_mat(tmp_path / "a.mat")


def save_hdf5(path, chunks=None, **arrays):
    """As MATLAB's save -v7.3: a text of 512 bytes before the HDF5, and all axes reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, (kind, array) in arrays.items():
            if kind == "cell":
                cells = [file.create_dataset(f"#refs#/{name}{place}", data=text(cell)[:, None])
                         for place, cell in enumerate(array)]  # fmt: skip
                for cell in cells:
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                # Of an empty array MATLAB stores the shape.
                cells.append(file.create_dataset(f"#refs#/{name}", data=np.array([1, 0], np.uint64)))
                cells[-1].attrs.update({"MATLAB_class": np.bytes_("char"), "MATLAB_empty": 1})
                dataset = file.create_dataset(name, data=[[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
            elif kind == "sparse":
                dataset = file.create_group(name)
                dataset.attrs["MATLAB_sparse"] = np.uint64(6)
            else:
                dataset = file.create_dataset(name, data=array.T, chunks=chunks)
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as opened:
        opened.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: today".ljust(124) + b"\0\2IM")


def text(cell):
    return np.frombuffer(cell.encode("utf-16-le"), np.uint16)


def test_a_mat_file_of_version_7_3_is_read_the_right_way_round(tmp_path):
    path = tmp_path / "a.mat"
    pictures = RNG.integers(0, 256, (5, 4, 3, 6), np.uint8)
    names = ["ant", "bee", "flüge"]
    save_hdf5(
        path, X=("uint8", pictures), y=("double", Y[:, None] + 1.0), class_names=("cell", names),
        x_test=("uint8", pictures[..., :2]), y_test=("double", np.array([[1.0, 3.0]])), more=("sparse", None),
    )  # fmt: skip
    raw = matlab.read_mat(path)
    assert_is(raw, np.moveaxis(pictures, -1, 0), Y[:, None].astype(float))
    assert_is(raw.test, np.moveaxis(pictures[..., :2], -1, 0), np.array([[0.0], [2.0]]))
    assert raw.class_names == (*names, "") and raw.notes == ("not used: more sparse",)
    save_hdf5(path, X=("double", X), y=("logical", (Y[:, None] == 0).astype(np.uint8)))
    assert_is(matlab.read_mat(path), X, Y[:, None] == 0)
    labels = np.array([text(name) for name in ("ant", "be ", "fly")])[Y]
    save_hdf5(path, X=("double", X), y=("char", labels))
    assert matlab.read_mat(path).labels.tolist() == ["ant", "be", "fly"] * 2


def test_a_mat_file_of_version_7_3_that_is_damaged_or_not_full_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    save_hdf5(path, X=("sparse", None), y=("double", Y))
    with refused(ValueError, "X: got sparse, expected full numbers, or a cell array of texts; save full"):
        matlab.read_mat(path)
    save_hdf5(path, X=("double", np.zeros((500, 500))), y=("double", np.zeros(500)))
    path.write_bytes(path.read_bytes()[:-2000])
    with refused(
        ValueError, r"a\.mat: got a damaged file .*, expected a \.mat file, as MATLAB's save -v7\.3"
    ):
        matlab.read_mat(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(600))
    with refused(ValueError, r"a\.mat: got a damaged file"):
        matlab.read_mat(path)
    save_hdf5(path, X=("double", np.zeros((500, 500))), y=("double", np.zeros(500)))
    monkeypatch.setattr(reading, "BOMB_BYTES", 10**5)
    monkeypatch.setattr(reading, "BOMB_RATIO", 0.5)
    with refused(ValueError, "X: got 2,.* bytes that unpack to 2,000,000 or more"):
        matlab.read_mat(path)


def test_a_mat_file_of_version_7_3_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    save_hdf5(tmp_path / "a.mat", X=("double", X), y=("double", Y))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with refused(ImportError, r"a\.mat: needs h5py: python -m pip install h5py"):
        matlab.read_mat(tmp_path / "a.mat")


# --- IDX -------------------------------------------------------------------------------------------------

PICTURES = RNG.integers(0, 256, (6, 5, 4), np.uint8)
DIGITS = np.array([3, 1, 4, 1, 5, 9], np.uint8)
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array):
    code = CODES[array.dtype.str[1:]]
    start = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return start + array.astype(array.dtype.newbyteorder(">")).tobytes()


def save_idx(folder, images=PICTURES, labels=DIGITS, split="train", name="", zipped=False):
    """The two files of a split, called as their publishers call them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        content = idx_bytes(array)
        path = folder / f"{name}{split}-{part}{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("zipped", [False, True])
def test_all_types_of_elements_are_read_gzipped_or_not(tmp_path, dtype, zipped):
    images = (PICTURES.astype(float) / 2).astype(dtype)
    save_idx(tmp_path, images, zipped=zipped)
    path = next(tmp_path.glob("*images*"))
    assert idx.is_idx(path)
    assert_is(idx.read_idx_files(path), images, DIGITS)


def test_a_file_is_unpacked_by_its_content_and_not_by_its_name(tmp_path):
    save_idx(tmp_path, zipped=True)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_suffix(""))
    assert_is(idx.read_idx_files(tmp_path), PICTURES, DIGITS)


@pytest.mark.parametrize("test_split", ["t10k", "test"])
def test_each_of_the_files_and_each_of_the_folders_above_finds_all_four(tmp_path, test_split):
    raw_folder = tmp_path / "MNIST" / "raw"  # as torchvision has it
    save_idx(raw_folder)
    save_idx(raw_folder, PICTURES[:2], DIGITS[:2], test_split)
    save_idx(raw_folder, zipped=True)
    for path in (tmp_path, raw_folder.parent, raw_folder, *raw_folder.iterdir()):
        assert path.is_file() or idx.is_idx_folder(path)
        raw = idx.read_idx_files(path)
        assert_is(raw, PICTURES, DIGITS)
        assert_is(raw.test, PICTURES[:2], DIGITS[:2])
        assert raw.notes == () and raw.class_names is None


def test_a_file_takes_the_place_of_its_gzipped_self_unless_that_is_named(tmp_path):
    save_idx(tmp_path)
    save_idx(tmp_path, PICTURES + 1, zipped=True)
    assert_is(idx.read_idx_files(tmp_path), PICTURES, DIGITS)
    assert_is(idx.read_idx_files(tmp_path / "train-images-idx3-ubyte.gz"), PICTURES + 1, DIGITS)


def test_names_with_a_dot_are_read_and_the_test_files_alone(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").mkdir()  # as Kaggle unpacks them
    save_idx(tmp_path, split="t10k")
    for path in list(tmp_path.glob("t10k*")):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    raw = idx.read_idx_files(tmp_path)
    assert_is(raw, PICTURES, DIGITS)
    assert raw.test is None and raw.notes == (
        "only the test files are there: they are used as all of the data",
    )


def test_the_published_mnist_is_read():
    folder = os.environ.get("JAXNAIVE_MANUAL_DIR")
    if not folder or not idx.is_idx_folder(Path(folder)):
        pytest.skip("needs the real MNIST: choose its folder with JAXNAIVE_MANUAL_DIR")
    raw = idx.read_idx_files(Path(folder) / "t10k-images-idx3-ubyte.gz")
    assert raw.test and raw.inputs.shape == (60_000, 28, 28) and raw.test.inputs.shape == (10_000, 28, 28)
    assert raw.labels[:3].tolist() == [5, 0, 4] and raw.test.labels[:3].tolist() == [7, 2, 1]


def test_files_of_several_datasets_are_told_apart_by_a_file_and_refused_by_their_folder(tmp_path):
    save_idx(tmp_path, name="emnist-digits-")
    save_idx(tmp_path, PICTURES[:3], DIGITS[:3])
    with refused(
        ValueError, "several datasets, one without a name, emnist-digits, expected those of one; name"
    ):
        idx.read_idx_files(tmp_path)
    assert_is(idx.read_idx_files(tmp_path / "train-images-idx3-ubyte"), PICTURES[:3], DIGITS[:3])
    save_idx(tmp_path / "two" / "MNIST" / "raw")
    save_idx(tmp_path / "two" / "KMNIST" / "raw")
    with refused(ValueError, "two: got .*KMNIST/raw, .*/MNIST/raw, expected one folder of IDX files"):
        idx.read_idx_files(tmp_path / "two")


def test_qmnist_labels_are_the_first_of_eight_columns(tmp_path):
    save_idx(tmp_path, name="qmnist-")
    eight = RNG.integers(0, 10**6, (6, 8)).astype(np.int32)
    eight[:, 0] = DIGITS
    (tmp_path / "qmnist-train-labels-idx1-ubyte").unlink()
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(idx_bytes(eight)))
    assert_is(idx.read_idx_files(tmp_path), PICTURES, DIGITS.astype(np.int32))


EMNIST_LABELS = {
    "letters": ([1, 2, 26, 13], "ABZM"),
    "digits": ([0, 9, 5, 1], "0951"),
    "mnist": ([0, 9, 5, 1], "0951"),
    "byclass": ([9, 10, 35, 36, 61], "9AZaz"),
    "bymerge": ([10, 36, 37, 38, 46, 39, 40, 41, 42, 43, 44, 45], "Aabdtefghnqr"),
    "balanced": ([10, 36, 37, 38, 46, 39, 40, 41, 42, 43, 44, 45], "Aabdtefghnqr"),
}


@pytest.mark.parametrize("name", EMNIST_LABELS)
def test_emnist_pictures_stand_upright_and_labels_are_characters(tmp_path, name):
    numbers, characters = EMNIST_LABELS[name]
    letter_l = np.zeros((5, 5), np.uint8)
    letter_l[:, 0] = letter_l[4] = 255  # a stroke down the left, and one along the bottom
    sideways = np.array([[row[column] for row in letter_l] for column in range(5)])
    save_idx(
        tmp_path, np.stack([sideways] * len(numbers)), np.array(numbers, np.uint8), name=f"emnist-{name}-"
    )
    raw = idx.read_idx_files(tmp_path)
    np.testing.assert_array_equal(raw.inputs, [letter_l] * len(numbers))
    assert raw.labels.tolist() == list(characters) and raw.class_names is None
    assert raw.notes == ("EMNIST stores pictures with rows and columns swapped: they are swapped back",)


def test_emnist_characters_are_those_of_the_mapping_if_it_is_there(tmp_path):
    save_idx(tmp_path, PICTURES[:3], np.array([1, 2, 1], np.uint8), name="emnist-letters-", zipped=True)
    mapping = tmp_path / "emnist-letters-mapping.txt"
    mapping.write_text("1 88 120\n2 89 121\n\n")
    assert idx.read_idx_files(tmp_path).labels.tolist() == ["X", "Y", "X"]
    mapping.write_text("1 88 120\n")
    with refused(ValueError, "labels-idx1-ubyte.gz: got label 2, expected 1 to 1"):
        idx.read_idx_files(tmp_path)
    mapping.write_text("1 eightyeight\n")
    with refused(ValueError, r"mapping\.txt: got .*eightyeight.*, expected lines of a label and a character"):
        idx.read_idx_files(tmp_path)


def test_an_unknown_split_of_emnist_keeps_its_numbers(tmp_path):
    save_idx(tmp_path, name="emnist-else-")
    assert_is(idx.read_idx_files(tmp_path), PICTURES.transpose(0, 2, 1), DIGITS)


def test_fewer_labels_than_images_are_refused(tmp_path):
    save_idx(tmp_path, labels=DIGITS[:5])
    with refused(ValueError, r"got inputs of shape \(6, 5, 4\) and labels of shape \(5,\), expected a label"):
        idx.read_idx_files(tmp_path)


@pytest.mark.parametrize(("given", "missing"), [("images", "labels"), ("labels", "images")])
def test_a_file_without_its_partner_is_refused(tmp_path, given, missing):
    save_idx(tmp_path)
    next(tmp_path.glob(f"*{missing}*")).unlink()
    with refused(ValueError, f"got no {missing} in the train files, expected two files such as train-im"):
        idx.read_idx_files(next(tmp_path.glob(f"*{given}*")))


def test_idx_under_another_name_is_refused(tmp_path):
    (tmp_path / "pictures").write_bytes(idx_bytes(PICTURES))
    assert idx.is_idx(tmp_path / "pictures") and not idx.is_idx_folder(tmp_path)
    with refused(
        ValueError, "pictures: got IDX in a file of this name, expected names such as train-images-idx3"
    ):
        idx.read_idx_files(tmp_path / "pictures")
    with refused(ValueError, "got no IDX files, expected one folder of IDX files"):
        idx.read_idx_files(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0\0\x08", b"\0\0\x07\1" + bytes(9), b"\0\0\x08\0" + bytes(9), b"\0\0\x08\5" + bytes(99),
        b"\1\0\x08\1" + bytes(9), gzip.compress(b"", mtime=0), gzip.compress(b"text", mtime=0),
        b"\x1f\x8b\x08" + bytes(20), b"\x1f\x8b no",
    ],
)  # fmt: skip
def test_other_contents_are_not_idx(tmp_path, content):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert not idx.is_idx(tmp_path / "train-images-idx3-ubyte")


def test_a_pipe_is_not_idx_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    assert not idx.is_idx(tmp_path / "train-images-idx3-ubyte")
    assert not idx.is_idx_folder(tmp_path)
    with refused(ValueError, "got a folder, a pipe or a device, expected a file"):
        idx.read_idx_files(tmp_path / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(PICTURES)[:-1], r"119 bytes after the header, which says 120, as shape \(6, 5, 4\)"),
        (idx_bytes(PICTURES.astype(np.int16)) + b"\0", "241 bytes after the header, which says 240"),
        (
            gzip.compress(idx_bytes(PICTURES), mtime=0)[:-9],
            "got what is not a whole gzip file .*download it again",
        ),
        (b"\0\0\x07\1" + bytes(9), "starts with 0x00000701, expected 0x000008 or 0x000009 or 0x00000b or"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "starts with 0x000008ff, .* and the rank, 1 to 4"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message):
    save_idx(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with refused(ValueError, message):
        idx.read_idx_files(tmp_path)


def test_a_gzip_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    save_idx(tmp_path, np.zeros((6, 1000, 1000), np.uint8), zipped=True)
    monkeypatch.setattr(reading, "BOMB_BYTES", 2 * 10**6)
    monkeypatch.setattr(reading, "BOMB_RATIO", 100)
    with refused(ValueError, r"ubyte\.gz: got 5,.* bytes that unpack to [23],\d*,\d* or more"):
        idx.read_idx_files(tmp_path)


# --- one array, and options of other kinds of files --------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_of_one_array_is_read_alone(tmp_path, zipped):
    save_idx(tmp_path, zipped=zipped)
    np.save(tmp_path / "any.npy", X)
    assert np.array_equal(sources.read_array(next(tmp_path.glob("*images*"))), PICTURES)
    assert np.array_equal(sources.read_array(next(tmp_path.glob("*labels*"))), DIGITS)
    assert np.array_equal(sources.read_array(tmp_path / "any.npy"), X)
    (tmp_path / "y.csv").write_text("a,b\n1,2\n")
    with refused(ValueError, r"y\.csv: got a file of another kind, expected \.npy or IDX"):
        sources.read_array(tmp_path / "y.csv")
    with refused(FileNotFoundError, "lost: there is no such file"):
        sources.read_array(tmp_path / "lost")


def test_options_of_tables_and_of_pictures_are_refused_for_arrays(tmp_path):
    save_idx(tmp_path / "idx")
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    scipy.io.savemat(tmp_path / "a.mat", {"X": X, "y": Y})
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "X.npy", X)
    np.save(tmp_path / "npy" / "y.npy", Y)
    files = ("a.npz", "a.mat", "npy", "npy/X.npy", "idx", "idx/train-images-idx3-ubyte")
    for path in (tmp_path / name for name in files):
        assert len(sources.read(path).inputs) == 6
        with refused(ValueError, f"label: got 'z' for {path}, which is no table, expected none"):
            sources.read(path, "z")
        with refused(ValueError, rf"ignore: got \('z',\) for {path}, which is no table, expected none"):
            sources.read(path, None, ("z",))
        with refused(ValueError, rf"size: got \(2, 3\) for {path}, which holds no files of pictures"):
            sources.read(path, size=(2, 3))


# --- pickles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pkl", "mnist.pkl.gz", "a.pt", "a.joblib"])
def test_a_pickle_is_refused_and_not_run(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with refused(ValueError, rf"{re.escape(name)}: got a pickle, which could run a program .*np\.savez\("):
        array_files.refuse_pickle(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
