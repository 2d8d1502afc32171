"""Tables: what is read from files, folders and data frames, and what is refused."""

import bz2
import csv
import gzip
import json
import random
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.datasets
from pyarrow import parquet

from jaxnaive.data import columns, csv_files, inputs, labels, sources, tables

IRIS = "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n"


def written(folder, text, name="table.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, text, name="table.csv"):
    return tables.read(written(folder, text, name))


@contextmanager
def refused(message):
    """A ``ValueError`` of one line that says so."""
    with pytest.raises(ValueError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)


def no_stack(contents):
    raise AssertionError("no pictures are expected")


def to_raw(table, label=None, ignore=(), class_names=None, stack=no_stack):
    return tables.to_raw(table, label, ignore, class_names, stack)


def stack(contents):
    """Stands in for what decodes pictures: a grey picture of the first byte, unless that is 0."""
    kept = np.array([row for row, (_, content) in enumerate(contents) if content[0]])
    images = np.array([np.full((2, 2), contents[row][1][0], np.uint8) for row in kept])
    lost = [name for name, content in contents if not content[0]]
    return SimpleNamespace(images=images, kept=kept, notes=(f"damaged: {lost}",) if lost else ())


class Frame:
    """A data frame of another library: Arrow's protocol, and names of columns."""

    def __init__(self, table):
        self.table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


# --- text --------------------------------------------------------------------------------------------


def test_a_csv_is_what_pandas_reads(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(0, 99, 50),
            "height": rng.normal(size=50),
            "is member": rng.random(50) < 0.5,
            "city": rng.choice(["Köln", "New York, NY", 'a "quoted" one', "two\nlines"], 50),
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = tables.read(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(table.table.to_pandas(), frame, check_dtype=False)
    assert table.has_header and table.label is None and table.class_names is None and table.notes == ()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv", bytes),
        ("a.csv.gz", gzip.compress),
        ("A.CSV.BZ2", bz2.compress),
        ("a.txt", lambda text: text.replace(b",", b"   ").replace(b"\n", b"  \r\n")),
        ("b.txt", lambda text: text.replace(b",", b" \t ")),
        ("a.tsv", lambda text: text.replace(b",", b"\t")),
        ("semicolons.csv", lambda text: text.replace(b",", b";")),
        ("europe.csv", lambda text: text.replace(b",", b";").replace(b".", b",")),
        ("bars.txt", lambda text: text.replace(b",", b"|")),
        ("bom.csv", lambda text: b"\xef\xbb\xbf" + text),
        ("windows.csv", lambda text: text.replace(b"\n", b"\r\n")),
        ("old_mac.csv", lambda text: text.replace(b"\n", b"\r")),
        ("blanks.csv", lambda text: text.replace(b",", b" , ")),
        ("empty_lines.csv", lambda text: b"\n\n" + text.replace(b"\n", b"\n\n")),
        ("no_end.csv", lambda text: text[:-1]),
        ("iris.data", lambda text: text + b"\n"),
        ("excel.csv", lambda text: b"sep=;\r\n" + text.replace(b",", b";")),
        ("excel_bom.csv", lambda text: b'\xef\xbb\xbf"sep=,"\n' + text),
        ("savetxt.csv", lambda text: b"# " + text),
        ("savetxt.txt", lambda text: b"# Iris\n#  " + text.replace(b",", b" ")),
        ("comments.csv", lambda text: b"# by R. A. Fisher, 1936\n\n# two, numbers, and a name\n" + text),
        ("end_of_lines.csv", lambda text: text.replace(b"\n", b",\n")),
    ],
)
def test_spellings_of_a_text_file_are_one_table(tmp_path, name, pack):
    table = read(tmp_path, pack(IRIS.encode()), name).table
    assert table.to_pydict() == {
        "length": [5.1, 7.0, 6.3], "width": [3.5, 3.2, 3.3], "species": ["setosa", "versicolor", "virginica"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("5.1,3.5,setosa\n7.0,3.2,versicolor\n", None),
        ("?,3.5,setosa\n7.0,3.2,versicolor\n", None),
        ("p,x\ne,x\np,y\n", None),
        ("1,2\n3,4\n", None),
        ("1,2", None),
        ("0,1\n1,0\n", None),
        ("7,0,1,2\n7,1,2,0\n", None),
        ("class,cap\np,x\ne,x\n", ["class", "cap"]),
        ("label,0,1\n3,5,6\n", ["label", "0", "1"]),
        ("0,1,2\n3,5,6\n", ["0", "1", "2"]),
        (",0,1,2\n0,5,6,7\n", ["", "0", "1", "2"]),
        ("0,1,kind\n5,6,p\n7,9,q\n7,8,q\n", ["0", "1", "kind"]),
        ("400.5,401,402,oil\n0,5,6,p\n1,5,6,q\n1,5,6,q\n", ["400.5", "401", "402", "oil"]),
        ("oil,900,700,100\np,0,5,6\nq,1,5,6\nq,1,5,6\n", ["oil", "900", "700", "100"]),
        ("country,2019,2020,2021\nA,0,5,6\nB,1,5,6\n", ["country", "2019", "2020", "2021"]),
        (",2019,2020,2021\nA,0,5,6\nA,1,5,6\n", ["", "2019", "2020", "2021"]),
        ("p,1,2,3\nq,0,5,6\nq,1,5,6\np,1,5,6\n", None),
        ("p,1,2,4\nq,0,5,6\nr,1,5,6\n", None),
        ("p,1,3,2\nq,0,5,6\nq,1,5,6\n", None),
        ("3,7,p\n5,6,q\n7,9,q\n", None),
        ("1,2,3\n0,5,6\n1,5,7\n", None),
    ],
)
def test_the_first_row_is_a_header_if_it_has_texts_above_numbers(tmp_path, text, names):
    table = read(tmp_path, text)
    assert table.has_header == (names is not None)
    assert table.table.column_names == (names or [str(n) for n in range(len(text.split("\n")[0].split(",")))])
    assert len(table.table) == len(text.splitlines()) - table.has_header
    first = dict(zip(table.table.column_names, text.split("\n")[table.has_header].split(","), strict=True))
    assert {
        name: "?" if value is None else str(value) for name, value in table.table.to_pylist()[0].items()
    } == first


def test_a_comment_of_texts_above_texts_names_them(tmp_path):
    assert read(tmp_path, "# a,b\np,q\nr,s\n").table.to_pydict() == {"a": ["p", "r"], "b": ["q", "s"]}
    assert read(tmp_path, "# a,b,c\n1,2\n3,4\n").table.to_pydict() == {"0": [1, 3], "1": [2, 4]}
    assert read(tmp_path, "# 1,2\n3,4\n").table.to_pydict() == {"0": [3], "1": [4]}


def test_a_column_may_be_called_by_the_sign_of_a_comment_and_all_values_may_begin_with_it(tmp_path):
    table = read(tmp_path, "#,name,kind\n1,p,x\n2,q,x\n2,r,y\n").table
    assert table.to_pydict() == {"#": [1, 2, 2], "name": ["p", "q", "r"], "kind": ["x", "x", "y"]}
    assert read(tmp_path, "#fff,1\n#000,2\n").table.to_pydict() == {"0": ["#fff", "#000"], "1": [1, 2]}


def test_lines_are_counted_with_those_above_the_table(tmp_path):
    with refused("line 5: got 1 columns, expected 2"):
        read(tmp_path, "\ufeffsep=,\n# about it\na,b\n1,2\n3\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (",a,label\np,1,x\nq,2,y\n", "pandas.csv"),
        (",a,label\n2020-01-31,1,x\n2020-02-29,2,y\n", "pandas_dates.csv"),
        ("a,label\np,1,x\nq,2,y\n", "r.csv"),
        ('"a" "label"\n"p" 1 "x"\n"q r" 2 "y"\n', "r.txt"),
    ],
)
def test_a_first_column_without_a_name_that_names_the_rows_is_left_out_with_a_note(tmp_path, text, name):
    found = read(tmp_path, text, name)
    assert found.table.to_pydict() == {"a": [1, 2], "label": ["x", "y"]}
    assert found.notes == ("the first column, without a name, names the rows and is left out",)


def test_a_first_column_without_a_name_that_does_not_name_the_rows_stays(tmp_path):
    found = read(tmp_path, ",a,label\np,1,x\np,2,y\n")
    assert found.table.column_names == ["", "a", "label"] and found.notes == ()
    found = read(tmp_path, '"a" "label"\n"1" 3.5 "x"\n"2" 4.5 "y"\n', "r.txt")
    assert to_raw(found.table).notes == ("columns that number the rows, left out: ''",)


@pytest.mark.parametrize("rows", ["1,2,\n3,4,\n", "1.5,2,3\n4.5,5,6\n", "1,2,3\n1,5,6\n"])
def test_rows_that_are_longer_than_the_header_and_have_no_names_are_refused(tmp_path, rows):
    with refused("line 2: got 3 columns, expected 2"):
        read(tmp_path, f"a,b\n{rows}")


def test_columns_without_a_name_are_called_by_their_places_unless_they_are_empty(tmp_path):
    table = read(tmp_path, "a,,b,,\n1,2,x,,\n3,4,y,,7\n").table
    assert table.to_pydict() == {"a": [1, 3], "column 2": [2, 4], "b": ["x", "y"], "column 5": [None, 7]}


def test_a_class_that_comes_again_in_a_later_row_is_no_name(tmp_path):
    lines = [
        f"{place % 7},{place % 5},{place % 3},{'rare' if place == 900 else 'often'}" for place in range(999)
    ]
    table = read(tmp_path, "\n".join(["1,2,3,rare", *lines]))
    assert not table.has_header and len(table.table) == 1000


def test_missing_values_are_null_in_numbers_and_in_texts(tmp_path):
    missing = ["", "NA", "NaN", "null", "?", "N/A", "None", "none", " ? "]
    text = "a,b\n" + "".join(f"{value},{value}\n1,x\n" for value in missing)
    assert read(tmp_path, text).table.to_pydict() == {"a": [None, 1] * 9, "b": [None, "x"] * 9}


def test_a_large_file_is_read_in_parts_and_a_kind_is_that_of_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "BLOCK", 2**12)
    lines = "\n" * 50
    text = "a,b,c,d\n" + f'1,1,1,"{lines}x"\n' * 1000 + "1.5,x,1,y\n"
    table = read(tmp_path, text).table
    assert list(map(str, table.schema.types)) == ["double", "string", "int64", "string"]
    assert table["a"].to_pylist() == [1.0] * 1000 + [1.5] and table["b"].to_pylist() == ["1"] * 1000 + ["x"]


def test_any_table_of_texts_that_csv_writes_is_read_as_it_was(tmp_path):
    letters = random.Random(0)
    rows = [["first", "second", "third"]]
    for _ in range(200):
        rows.append(["x" + "".join(letters.choices("ab\"',;| \n\té", k=6)) + "x" for _ in range(3)])
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert [tables.read(tmp_path / "a.csv").table.column_names, *zip_rows(tmp_path / "a.csv")] == rows


def zip_rows(path):
    return [list(row.values()) for row in tables.read(path).table.to_pylist()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file, expected a table"),
        (b"\xef\xbb\xbf \n\n", "got an empty file, expected a table"),
        (b"a,b\n", "got only a header, expected rows below it"),
        (b"a\n1\n2\n", "got one column, expected several; is the delimiter not a comma, a semicolon, a tab"),
        (b"Of 2020\na,b\n1,2\n", "line 2: got 2 columns, expected 1, as in the first row"),
        (b"a,b\n1,2\n3\n", "line 3: got 1 columns, expected 2, as in the first row"),
        (b'a,b\n"1\n",2\n\n3,4,5\n', "line 5: got 3 columns, expected 2"),
        (b"a,b\n" + b"1,2\n" * 100 + b"1,2,3\n", "line 102: got 3 columns, expected 2"),
        (b'a,b\n1,"x\n2,y\n', "after line 1: got a quote that is not closed"),
        (b'a,b\n1,"' + b"x\n" * 70_000, "got a cell without an end"),
        ("a,b\n1,x\n2,é\n".encode("latin-1"), "line 3: got bytes that are no text in UTF-8, .*save it as"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1: got bytes that are no text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: got bytes that are no text in UTF-8"),
        (b",".join([b"1"] * 100_001), "got 100,001 columns, expected at most 100,000.*save larger"),
        (b"a,b,a\n1,2,3\n", "got several columns called 'a', expected different names"),
        (b"version https://git-lfs.github.com/spec/v1\n", "got a pointer of Git LFS.*run git lfs pull"),
    ],
    ids=range(16),
)  # fmt: skip
def test_a_text_file_that_is_no_table_is_refused(tmp_path, content, message):
    with refused(f"table.csv: {message}"):
        read(tmp_path, content)


def test_a_tsv_is_divided_by_tabs_alone(tmp_path):
    assert read(tmp_path, "a,b\tc\n1,2\t3\n", "a.tsv").table.to_pydict() == {"a,b": ["1,2"], "c": [3]}
    with refused("a.tsv: got one column, expected several; is the delimiter not a tab"):
        read(tmp_path, "a,b\n1,2\n", "a.tsv")


def test_a_line_without_an_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MAX_LINE", 1000)
    with refused("got a first line of more than 1,000 bytes, expected rows, a line each"):
        read(tmp_path, b"0" * 1001)


def test_a_packed_file_that_is_damaged_or_a_bomb_is_refused(tmp_path, monkeypatch):
    with refused("a.csv.gz: got a damaged file or one of another kind"):
        read(tmp_path, gzip.compress(IRIS.encode())[:-3], "a.csv.gz")
    with refused("b.csv.gz: got a damaged file or one of another kind"):
        read(tmp_path, IRIS, "b.csv.gz")
    monkeypatch.setattr("jaxnaive.data.reading.BOMB_BYTES", 10**6)
    with refused("c.csv.gz: got .* bytes that unpack to .* or more"):
        read(tmp_path, gzip.compress(b"\n" * 2 * 10**7), "c.csv.gz")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        tables.read(tmp_path / "a.csv")
    with refused("got a folder, a pipe or a device, expected a file"):
        tables.read(tmp_path)


# --- Parquet and Arrow -------------------------------------------------------------------------------


def write_arrow(table, path, new):
    with new(path, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "a.parquet": parquet.write_table,
    "file.arrow": lambda table, path: write_arrow(table, path, pa.ipc.new_file),
    "stream.ipc": lambda table, path: write_arrow(table, path, pa.ipc.new_stream),
    "b.feather": lambda table, path: write_arrow(table, path, pa.ipc.new_file),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_arrow_is_the_table_that_was_written(tmp_path, name):
    table = pa.table({"a": [1, None], "b": ["x", "y"], "c": [[1.0], [2.0]]})
    WRITERS[name](table, tmp_path / name)
    assert tables.read(tmp_path / name).table.equals(table)
    whole = (tmp_path / name).read_bytes()
    for content in (whole[: len(whole) // 3], b"", b"ARROW1" + bytes(100)):
        with refused(f"{name}: got a damaged file or one of another kind"):
            read(tmp_path, content, name)


def test_no_damaged_byte_ends_in_anything_but_one_line(tmp_path):
    places = random.Random(0)
    table = pa.table({"a": list(range(50)), "b": [f"text {n}" for n in range(50)]})
    for name in WRITERS:
        WRITERS[name](table, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            content[places.randrange(len(content))] ^= 1 << places.randrange(8)
            try:
                read(tmp_path, bytes(content), name).table.to_pylist()
            except ValueError as error:
                assert str(error).startswith(str(tmp_path / name)) and "\n" not in str(error)


def test_a_file_of_arrow_with_one_name_twice_or_without_rows_is_refused(tmp_path):
    write_arrow(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "a.arrow", pa.ipc.new_file)
    with refused("a.arrow: got several columns called 'a'"):
        tables.read(tmp_path / "a.arrow")
    parquet.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    with refused("a.parquet: got a table without rows"):
        tables.read(tmp_path / "a.parquet")
    parquet.write_table(pa.table({}), tmp_path / "b.parquet")
    with refused("b.parquet: got no columns"):
        tables.read(tmp_path / "b.parquet")


def test_the_index_of_pandas_is_no_column_of_a_parquet_file(tmp_path):
    pd.DataFrame({"a": [1, 2], "label": [0, 1]}, index=[5, 9]).to_parquet(tmp_path / "a.parquet")
    assert tables.read(tmp_path / "a.parquet").table.column_names == ["a", "label"]


def hugging_face(table, **names):
    """The table with the note that Hugging Face's datasets write into a file."""
    features = {name: {"_type": "Value"} for name in table.column_names}
    features |= {name: {"names": classes, "_type": "ClassLabel"} for name, classes in names.items()}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_the_labels_and_class_names_that_hugging_face_declares_are_taken(tmp_path):
    table = pa.table({"x": [1.5, 2, 3], "kind": [0, 1, 0], "label": [7, 8, 9]})
    parquet.write_table(hugging_face(table, kind=["cat", "dog"]), tmp_path / "a.parquet")
    found = tables.read(tmp_path / "a.parquet")
    assert found.label == "kind" and found.class_names == ("cat", "dog")
    raw = to_raw(found.table, found.label, ["label"], found.class_names)
    assert raw.labels.tolist() == [0, 1, 0] and raw.class_names == ("cat", "dog")
    assert (
        to_raw(found.table, "label", [], found.class_names).class_names is None
    )  # they are another column's


def test_of_two_columns_that_hugging_face_declares_the_user_chooses(tmp_path):
    table = pa.table({"x": [1.5, 2], "fine": [0, 1], "coarse": [1, 0]})
    parquet.write_table(hugging_face(table, fine=["a", "b"], coarse=["c", "d"]), tmp_path / "a.parquet")
    found = tables.read(tmp_path / "a.parquet")
    assert found.label is None and found.class_names is None
    assert to_raw(found.table, "coarse", ["fine"]).class_names == ("c", "d")


def test_the_note_of_another_program_is_passed_over(tmp_path):
    for note in (b"[]", b"no JSON", b'{"info": {"features": {"a": 3}}}', b'{"info": null}'):
        table = pa.table({"a": [1], "b": [2]}).replace_schema_metadata(
            {b"huggingface": note, b"pandas": note}
        )
        parquet.write_table(table, tmp_path / "a.parquet")
        assert tables.read(tmp_path / "a.parquet").label is None


# --- folders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train.csv", "test.csv", "README.md"], ["train", "test"]),
        (["mnist_train.csv", "mnist_test.csv", "sample_submission.csv"], ["train", "test"]),
        (["train.csv.gz", "val.tsv"], ["train", "validation"]),
        (["data/train-00000-of-00001.parquet", "data/test-00000-of-00001-0a1b.parquet"], ["train", "test"]),
        (["train/part.csv", "test/part.csv"], ["train", "test"]),
        (["iris.csv", "README.txt", ".iris.csv.swp", "._iris.csv"], ["train"]),
        (["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"], ["train"]),
        (["one.csv", "other.csv"], []),
        (["cats/1.png", "dogs/1.png", "about.csv"], []),
        (["train.txt", "test.txt"], []),
        ([], []),
    ],
)  # fmt: skip
def test_a_folder_with_tables_is_known_by_the_names_of_the_files(tmp_path, names, splits):
    table = pa.table({"a": [1, 2], "label": [0, 1]})
    for name in names:
        written(tmp_path, b"", name)
        if name.endswith(".parquet"):
            parquet.write_table(table, tmp_path / name)
        elif name.endswith(".arrow"):
            write_arrow(table, tmp_path / name, pa.ipc.new_stream)
        elif name.endswith(".gz"):
            written(tmp_path, gzip.compress(b"a,label\n1,0\n2,1\n"), name)
        else:
            written(tmp_path, "a,label\n1,0\n2,1\n".replace(",", "\t" if ".tsv" in name else ","), name)
    assert tables.is_table_folder(tmp_path) == bool(splits)
    if splits:
        found = tables.read_folder(tmp_path)
        assert list(found) == splits
        expected = [1, 2] * sum(name.startswith("data-") for name in names) or [1, 2]
        assert all(part.table["a"].to_pylist() == expected for part in found.values())


def test_a_table_in_several_files_is_one(tmp_path):
    written(tmp_path, "a,label\n1,x\n", "train-00000-of-00002.csv")
    written(tmp_path, "a,label\n2.5,y\n", "train-00001-of-00002.csv")
    assert tables.read_folder(tmp_path)["train"].table.to_pydict() == {"a": [1.0, 2.5], "label": ["x", "y"]}
    written(tmp_path, "a,b\n2.5,y\n", "train-00001-of-00002.csv")
    with refused("train-00001-of-00002.csv: got other columns than in train-00000-of"):
        tables.read_folder(tmp_path)
    written(tmp_path, "a,label\nz,y\n", "train-00001-of-00002.csv")
    with refused("got parts of train with different kinds of values"):
        tables.read_folder(tmp_path)
    (tmp_path / "train-00001-of-00002.csv").unlink()
    with refused("got 1 of 2 parts of train, expected all"):
        tables.read_folder(tmp_path)


def test_a_folder_without_one_table_for_training_is_refused(tmp_path):
    written(tmp_path, IRIS, "test.csv")
    with refused("got tables for test, expected one for training"):
        tables.read_folder(tmp_path)
    written(tmp_path, IRIS, "X_train.csv")
    written(tmp_path, IRIS, "y_train.csv")
    with refused(r"got several tables for train, X_train.csv, y_train.csv, expected one"):
        tables.read_folder(tmp_path)


def test_a_test_table_without_labels_is_left_out_with_a_note(tmp_path):
    written(tmp_path, "PassengerId,Age,Survived\n1,22,0\n2,38,1\n", "train.csv")
    written(tmp_path, "PassengerId,Age\n3,22\n4,38\n", "test.csv")
    found = tables.read_folder(tmp_path)
    assert list(found) == ["train"]
    assert found["train"].notes == ("test: left out, because it has no column 'Survived'",)


# --- the label column --------------------------------------------------------------------------------


TABLE = pa.table({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "when": ["x", "y", "x"], "last": [True, False, True]})


@pytest.mark.parametrize(
    ("label", "name"),
    [("b", "b"), (0, "a"), (-1, "last"), ("1", "b"), ("-1", "last"), (["a"], "a"), (("last",), "last")],
)
def test_the_label_column_is_chosen_by_its_name_or_its_place(label, name):
    raw = to_raw(TABLE, label)
    assert raw.labels.tolist() == TABLE[name].to_pylist()
    assert raw.inputs.equals(TABLE.drop_columns([name])) and raw.test is None and raw.class_names is None


@pytest.mark.parametrize(
    "name", ["label", "Labels", "target", "CLASS", "y", "species", "variety", "diagnosis", "Survived"]
)
def test_without_a_choice_it_is_the_one_that_is_called_as_labels_are(name):
    raw = to_raw(pa.table({"a": [1, 2], name: ["p", "q"], "b": [3, 4]}))
    assert raw.labels.tolist() == ["p", "q"] and raw.inputs.column_names == ["a", "b"]


def test_a_name_that_says_label_goes_before_one_that_may_be_an_input():
    assert to_raw(pa.table({"x": [1, 2], "y": [3, 4], "class": [0, 1]})).labels.tolist() == [0, 1]


def test_a_column_to_ignore_is_no_label():
    raw = to_raw(pa.table({"a": [1, 2], "class": [3, 4], "label": [0, 1]}), ignore=["class"])
    assert raw.labels.tolist() == [0, 1] and raw.inputs.column_names == ["a"]


@pytest.mark.parametrize("ignore", [["a", -2], "a", 0, ["0", "when"]])
def test_columns_to_ignore_are_left_out_by_name_or_by_place(ignore):
    left = {"a"} if ignore in ("a", 0) else {"a", "when"}
    raw = to_raw(TABLE, "last", ignore)
    assert raw.inputs.column_names == [name for name in ("a", "b", "when") if name not in left]


@pytest.mark.parametrize(
    ("label", "ignore", "message"),
    [
        (None, [], r"got no label column; say which: label='...' \(--label\), one of: 'a', 'b', 'when', "),
        ("lost", [], "label: got 'lost', expected one of the columns .*; did you mean 'last'"),
        ("WHEN", [], "label: got 'WHEN', expected one of the columns .*; did you mean 'when'"),
        (4, [], "label: got column 4, expected one of 4, counted from 0"),
        ("-5", [], "label: got column -5, expected one of 4"),
        ("a", ["wen"], "ignore: got 'wen', expected one of the columns .*; did you mean 'when'"),
        ("a", ["a"], "label: got 'a', which is among those to ignore"),
        ("a", ["b", "when", "last"], "got no column besides the labels, expected at least one to learn from"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_is_refused_with_those_that_are(label, ignore, message):
    with refused(message):
        to_raw(TABLE, label, ignore)


def test_two_columns_called_as_labels_are_leave_the_choice_to_the_user():
    with refused("2 columns that may be it; say which.*one of: 'target', 'class'"):
        to_raw(pa.table({"a": [1], "target": [0], "class": [1]}))


def test_of_many_columns_an_error_names_the_first_and_the_last():
    with refused(r"one of: 'c0', .*'c10', \.\.\., 'c99'$"):
        to_raw(pa.table({f"c{n}": [1] for n in range(100)}))


def test_several_label_columns_are_one_hot_classes_or_targets():
    table = pa.table({"a": [1, 2], "cat": [1, 0], "dog": [0, 1], "p": [0.5, 1], "name": ["x", "y"]})
    raw = to_raw(table, ["cat", "dog"], ["p", "name"])
    assert raw.labels.tolist() == [[1, 0], [0, 1]] and raw.class_names == ("cat", "dog")
    assert labels.by_name(raw.labels, raw.class_names or ()).tolist() == ["cat", "dog"]
    raw = to_raw(table, ["p", 1], ["dog", "name"])
    assert raw.labels.tolist() == [[0.5, 1], [1, 0]] and raw.class_names is None
    with refused("label: got no numbers in column name, expected numbers in several"):
        to_raw(table, ["p", "name"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 2], pa.uint8()), np.array([1, 2], np.uint8)),
        (pa.array([1, None]), np.array([1, np.nan])),
        (pa.array([0.5, None]), np.array([0.5, np.nan])),
        (pa.array([True, False]), np.array([True, False])),
        (pa.array([True, None]), np.array([True, None], object)),
        (pa.array(["p", None]), np.array(["p", None], object)),
        (pa.array(["p", "q"]).cast(pa.string_view()), np.array(["p", "q"], object)),
        (pa.array(["p", "q", "p"]).dictionary_encode(), np.array(["p", "q", "p"], object)),
        (pa.array([None, None]), np.array([None, None], object)),
        (pa.array([1, 2]).cast(pa.decimal128(21, 2)), np.array([1.0, 2.0])),
    ],
)
def test_labels_are_arrays_of_their_kind(column, expected):
    got = to_raw(pa.table({"a": [1] * len(column), "label": column})).labels
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    if column.null_count:
        with refused("missing"):
            labels.as_labels(got)


def test_labels_that_are_dates_or_lists_are_refused():
    dates = pa.array([1, 2], pa.date32())
    with refused("label: got dates or times in column label, expected classes or num"):
        to_raw(pa.table({"a": [1, 2], "label": dates}))
    with refused("label: got list<.*> in column label, expected classes or numbers"):
        to_raw(pa.table({"a": [1, 2], "label": [[1], [2]]}))


# --- the inputs --------------------------------------------------------------------------------------


def test_inputs_stay_a_table_of_numbers_bools_and_texts(tmp_path):
    table = pa.table(
        {
            "age": [1, None, 3],
            "is": [True, False, None],
            "city": pa.array(["x", None, "y"]).dictionary_encode(),
            "level": pa.array([3, 1, 3]).dictionary_encode(),
            "price": pa.array([1, 2, 3]).cast(pa.decimal128(21, 2)),
            "nothing": pa.nulls(3),
            "label": [0, 1, 0],
        }
    )
    raw = to_raw(table)
    assert raw.inputs.column_names == ["age", "is", "city", "level", "price", "nothing"]
    assert raw.inputs["city"].to_pylist() == ["x", None, "y"]
    assert raw.inputs["level"].to_pylist() == ["3", "1", "3"]
    learned, *_ = inputs.learn(raw.inputs)
    assert inputs.encode(raw.inputs, learned).shape == (3, 1 + 1 + 3 + 2 + 1)


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array([1, 2], pa.date32()), "got dates or times, expected numbers or texts"),
        (pa.array([1, 2], pa.timestamp("ns", "UTC")), "got dates or times"),
        (pa.array([1, 2], pa.time32("s")), "got dates or times"),
        (pa.array([1, 2], pa.duration("s")), "got dates or times"),
        (pa.array(["2020-01-31", "2020-02-01"]), "got dates or times"),
        (pa.array(["2020-01-31T10:00:00Z", None]), "got dates or times"),
        (pa.array(["31.1.2020", "01/02/2020"]), "got dates or times"),
        (pa.array([{"x": 1}, {"x": 2}]), "got struct<x: int64>, expected numbers or texts"),
    ],
)
def test_dates_and_nested_values_are_refused_by_the_name_of_the_column(column, what):
    with refused(rf"column when: {what}.*ignore=\('when',\) \(--ignore\)"):
        to_raw(pa.table({"when": column, "label": [0, 1]}))
    assert to_raw(pa.table({"a": [1, 2], "when": column, "label": [0, 1]}), ignore=["when"]).inputs


def test_dates_of_a_csv_are_refused(tmp_path):
    table = read(tmp_path, "when,at,label\n2020-01-31,12:30,0\n2020-02-01,13:30,1\n").table
    with refused("column when: got dates or times"):
        to_raw(table, ignore=["at"])
    with refused("column at: got dates or times"):
        to_raw(table, ignore=["when"])


def test_texts_that_are_no_dates_are_texts():
    raw = to_raw(pa.table({"a": ["2020-01-31", "never"], "b": ["1.2.3", "10.20"], "label": [0, 1]}))
    assert raw.inputs.column_names == ["a", "b"]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Id", "id", "ID", "index", "PassengerId", "user_id"])
def test_a_column_that_numbers_the_rows_is_left_out_with_a_note(tmp_path, name):
    raw = to_raw(read(tmp_path, f"{name},a,label\n7,1,0\n8,3,1\n9,2,1\n").table)
    assert raw.inputs.column_names == ["a"]
    assert raw.notes == (f"columns that number the rows, left out: {name!r}",)


@pytest.mark.parametrize("column", [[7, 8, 7], [0.5, 1.5, 2.5], ["a", "b", "c"], [1, None, 2]])
def test_a_column_with_such_a_name_that_does_not_number_the_rows_is_an_input(column):
    raw = to_raw(pa.table({"id": column, "fluid": [1, 2, 3], "label": [0, 1, 0]}))
    assert raw.inputs.column_names == ["id", "fluid"] and raw.notes == ()


@pytest.mark.parametrize(
    "names",
    [
        [f"pixel{place}" for place in range(9)],
        [f"pixel{place}" for place in range(1, 10)],
        [f"{row}x{column}" for row in (1, 2, 3) for column in (1, 2, 3)],
        [f"{row}x{column}" for row in range(3) for column in range(3)],
        [f"pixel_{row}_{column}" for row in range(3) for column in range(3)],
    ],
)
def test_columns_called_as_pixels_are_pictures(names):
    assert columns.picture_shape(names) == (3, 3)
    assert columns.picture_shape(names[1:]) is None and columns.picture_shape(names[::-1]) is None
    assert columns.picture_shape(names[:1]) is None


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (pa.list_(pa.float32()), (6,)),
        (pa.large_list(pa.uint8()), (6,)),
        (pa.list_(pa.int16(), 6), (6,)),
        (pa.list_(pa.list_(pa.float64())), (2, 3)),
        (pa.list_(pa.list_(pa.list_(pa.uint8(), 1), 3), 2), (2, 3, 1)),
    ],
)
def test_a_column_of_lists_is_an_array(kind, shape):
    values = np.arange(7 * 6).reshape(7, *shape)
    column = pa.chunked_array([pa.array(values[:2].tolist(), kind), pa.array(values.tolist(), kind)[2:]])
    raw = to_raw(pa.table({"embedding": column, "label": range(7)}))
    np.testing.assert_array_equal(raw.inputs, values)
    assert raw.labels.tolist() == list(range(7))


def test_a_tensor_of_arrow_is_an_array():
    values = np.arange(12.0).reshape(3, 4)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    np.testing.assert_array_equal(to_raw(pa.table({"x": column, "label": [0, 1, 0]})).inputs, values)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1, 2], [3]]), "got lists of lengths 2, 1, expected lists of one length"),
        (pa.array([[[1], [2]], [[3], [4, 5]]]), "got lists of lengths 1, 2, expected"),
        (pa.array([[1, 2], None]), "got lists of lengths 2, missing, expected"),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), "got .*missing"),
        (pa.array([[1, None], [2, 3]]), "got missing values, expected lists of numbers"),
        (pa.array([["a"], ["b"]]), "got lists of string, expected lists of numbers"),
    ],
)
def test_lists_that_are_no_array_are_refused(column, message):
    with refused(f"column x: {message}"):
        to_raw(pa.table({"x": column, "label": [0, 1]}))


def test_lists_beside_other_columns_are_refused():
    with refused(r"column x: got lists or pictures beside 1 other .*ignore=\('a',\)"):
        to_raw(pa.table({"x": [[1], [2]], "a": [1, 2], "label": [0, 1]}))


PICTURES = (b"\x05..", b"\x00..", b"\x07..")


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (pa.array(PICTURES), "row 1"),
        (pa.array(PICTURES, pa.large_binary()), "row 1"),
        (pa.array([{"bytes": content, "path": f"{content[0]}.png"} for content in PICTURES]), "0.png"),
        (pa.array([{"bytes": content, "path": None} for content in PICTURES]), "row 1"),
    ],
)
def test_a_column_of_pictures_is_decoded_and_the_labels_are_of_those_that_can_be(column, name):
    raw = to_raw(pa.table({"image": column, "label": ["p", "q", "r"]}), stack=stack)
    assert raw.inputs.shape == (2, 2, 2) and raw.inputs[:, 0, 0].tolist() == [5, 7]
    assert raw.labels.tolist() == ["p", "r"] and raw.notes == (f"damaged: ['{name}']",)


def test_a_picture_without_bytes_is_refused():
    column = pa.array([{"bytes": b"x", "path": "a"}, {"bytes": None, "path": "b"}])
    with refused("column image: got no bytes of a picture in row 1, expected a file in"):
        to_raw(pa.table({"image": column, "label": [0, 1]}), stack=stack)


def test_a_size_is_refused_unless_a_table_holds_pictures(tmp_path):
    expected = "which holds no files of pictures, expected none"
    for path in (written(tmp_path, IRIS, "a/train.csv"), tmp_path / "a"):
        with refused(rf"size: got \(2, 3\) for {path}, {expected}"):
            sources.read(path, size=(2, 3))
    with refused(rf"size: got \(2, 3\) for a data frame, {expected}"):
        sources.read_frame(pd.DataFrame({"a": [1, 2], "label": [0, 1]}), size=(2, 3))
    table = pa.table({"image": [b"P5 1 1 255\n\5", b"P5 1 1 255\n\7"], "label": [0, 1]})
    assert sources.read_frame(table, size=(2, 3)).inputs[:, 1, 2].tolist() == [5, 7]


# --- data frames -------------------------------------------------------------------------------------


COLUMNS = {
    "length": [5.1, 7.0, 6.3],
    "width": [3.5, 3.2, 3.3],
    "species": ["setosa", "versicolor", "virginica"],
}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, index=[7, 8, 9]),
        pd.DataFrame(COLUMNS, index=pd.Index(["p", "q", "r"], name="who")),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pa.record_batch(COLUMNS),
        Frame(pa.table(COLUMNS)),
    ],
    ids=lambda frame: type(frame).__module__,
)
def test_a_data_frame_is_the_same_as_the_file(tmp_path, frame):
    assert tables.is_frame(frame)
    raw, expected = to_raw(tables.from_frame(frame)), to_raw(read(tmp_path, IRIS).table)
    assert raw.inputs.equals(expected.inputs) and raw.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"c": pd.Categorical(["x", "y", "x"]), "label": [0, 1, 0]}),
        pl.DataFrame({"c": pl.Series(["x", "y", "x"], dtype=pl.Categorical), "label": [0, 1, 0]}),
    ],
)
def test_categories_of_a_data_frame_stay_so_and_become_texts_as_inputs(frame):
    table = tables.from_frame(frame)
    assert pa.types.is_dictionary(table["c"].type)
    assert to_raw(table).inputs.to_pydict() == {"c": ["x", "y", "x"]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"a": [1, 2], "b": [1, "x"]}),
            "column b: got values of several kinds .*expected one kind",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "data frame: got several columns called 'a'"),
        (pd.DataFrame({"z": [1j]}), "column z: got values of several kinds"),
        (pd.DataFrame(index=[1, 2]), "data frame: got no columns"),
    ],
)
def test_a_data_frame_that_is_no_table_is_refused(frame, message):
    with refused(f"^{message}"):
        tables.from_frame(frame)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, 2]), np.array([1, 2])),
        (pd.Series([1, None], dtype="Int64"), np.array([1, np.nan])),
        (pd.Series(["x", None]), np.array(["x", None], object)),
        (pd.Series(pd.Categorical(["x", "y"])), np.array(["x", "y"], object)),
        (pd.Series([1, "x"]), np.array([1, "x"], object)),
        (pl.Series([0.5, 1.5]), np.array([0.5, 1.5])),
        (pl.Series(["x", "y"], dtype=pl.Categorical), np.array(["x", "y"], object)),
        (pl.Series([True, False]), np.array([True, False])),
        (pa.chunked_array([[1], [2]]), np.array([1, 2])),
        (pa.array(["x"]), np.array(["x"], object)),
        (SimpleNamespace(to_numpy=lambda: np.array([3])), np.array([3])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_series_is_no_frame_and_becomes_an_array(values, expected):
    assert not tables.is_frame(values)
    got = tables.as_column(values)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


@pytest.mark.parametrize("values", [[1, 2], np.ones(3), "text", pd.DataFrame({"a": [1]})], ids=str)
def test_what_is_no_series_stays_as_it_is(values):
    assert tables.as_column(values) is values


def test_importing_it_imports_neither_pyarrow_nor_pandas():
    import subprocess

    script = (
        "import sys, jaxnaive.data.tables; print(*(m for m in sys.modules if m in ('pyarrow', 'pandas')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_scikit_learn_s_own_files_count_rows_and_inputs_in_their_first_line(tmp_path):
    folder = Path(sklearn.datasets.__file__).parent / "data"
    for name, kind in (("iris.csv", "iris"), ("wine_data.csv", "wine")):
        expected: Any = getattr(sklearn.datasets, f"load_{kind}")()
        table = tables.read(folder / name)
        assert table.class_names == tuple(expected.target_names)
        raw = tables.to_raw(table.table, table.label, (), table.class_names, list)
        np.testing.assert_allclose(np.column_stack(raw.inputs.columns), expected.data)
        np.testing.assert_array_equal(raw.labels, expected.target)
    (tmp_path / "like.csv").write_text("3,2,x\n1,2,3\n4,5,6\n")  # but it says 3 rows, and has 2
    assert tables.read(tmp_path / "like.csv").class_names is None
