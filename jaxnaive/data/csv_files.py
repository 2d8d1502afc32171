"""Tables as text: where the columns are divided, and whether the first row names them, is seen from the rows.

pyarrow reads the numbers, in parallel; what it is told here is found by Python's csv in the first rows.
"""

import bz2
import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnaive.data.reading import check_no_bomb, damage_named

OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
DELIMITERS = ("\t", ";", "|", ",", " ")  # a text holds those that stand last more often; " ": some blanks
SAMPLE = 20  # rows by which it is seen what divides the columns
CELLS = 20_000  # of the rows by which it is seen whether the first one is a header
MAX_COLUMNS = 100_000
MAX_LINE = 2**26  # bytes
BLOCK = 2**24  # bytes that pyarrow reads at a time; a row has to fit into them
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "none", "?")
LINE_END = re.compile(rb"\r\n?|\n")
NOT_BLANK = re.compile(rb"\S")
NOT_LINE_END = re.compile(rb"[^\r\n]")
PREAMBLE = re.compile(
    rb'(\xef\xbb\xbf)?("?sep=.?"?[ \t]*(\r\n?|\n))?(\s*#[^\r\n]*(\r\n?|\n))*', re.IGNORECASE
)
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?inf", re.IGNORECASE)


class Text(NamedTuple):
    """A table of text, and what its file says about it."""

    table: Any  # a pyarrow.Table of numbers, bools, dates and texts
    has_header: bool
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read(path: Path) -> Text:
    """The table of a file.

    Without a header the columns are called "0", "1", and so on. Class names stand in scikit-learn's
    own files, whose first line is how many rows there are, how many inputs, and what the classes are called.
    A first column without a name, of texts that are all different, names the rows, and is left out.

    Raises:
      ValueError: it is no table, or not in UTF-8, or a row has too few or too many columns.
      OSError: it cannot be read.
    """
    content, comment = _without_preamble(_content(path))
    content, class_names = _without_counts(content)
    delimiter = _delimiter(content, path)
    if delimiter == " ":
        content, comment = b"\n".join(map(_squeezed, content.splitlines())), _squeezed(comment)
    content, has_header = _headed(content, comment, delimiter, not class_names)
    names, *others = _sample(content, delimiter)
    if has_header and not others:
        raise ValueError(f"{path}: got only a header, expected rows below it")
    table = _parsed(content, delimiter, has_header, ".", path)
    if delimiter == ";" and (texts := _texts(table)):  # as in Europe, where a comma begins the fraction
        other = _parsed(content, delimiter, has_header, ",", path)
        table = other if _texts(other) < texts else table
    _check_quotes(content, delimiter, path)
    if not has_header:
        return Text(table.rename_columns(list(map(str, range(table.num_columns)))), False, class_names)
    table, notes = _named(table.rename_columns(names))
    return Text(table, True, notes=notes)


# --- the text ----------------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    """All bytes of a file, unpacked; the first line is looked at before the others are read."""
    packed = path.stat().st_size

    def next_part(read: Callable[[int], bytes], size: int) -> bytes:
        with damage_named(path, "a table of text"):
            return read(size)

    with OPENERS.get(path.suffix.lower(), io.open)(path, "rb") as file:
        unpacked = bytearray(next_part(file.readline, MAX_LINE + 1))
        _check_first_line(unpacked, path)
        while part := next_part(file.read, BLOCK):
            unpacked += part
            check_no_bomb(len(unpacked), packed, str(path))
    content = bytes(unpacked + b"\n")  # pyarrow reads no single row without an end
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(content[: error.start], path) from error
    if "\0" in text:
        raise _not_utf8(content[: content.index(b"\0")], path)
    if not text.strip("\ufeff\r\n\t "):
        raise ValueError(f"{path}: got an empty file, expected a table")
    return content


def _without_preamble(content: bytes) -> tuple[bytes, bytes]:
    """The content with empty lines in place of Excel's ``sep=;`` and of comments, and the last comment."""
    found: Any = PREAMBLE.match(content)
    if not NOT_BLANK.search(content, found.end()):  # a table, each row of which begins with "#"
        return content, b""
    comments = [line for line in map(bytes.strip, found[0].splitlines()) if line.startswith(b"#")]
    # Lines stay where they are, because errors name them by their numbers.
    blank = b"\n" * len(LINE_END.findall(found[0]))
    return blank + content[found.end() :], comments[-1] if comments else b""


def _without_counts(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The content without a first line that counts rows and inputs, and the class names in that line."""
    first, _, rest = content.partition(b"\n")
    rows, inputs, *names = first.decode().strip().split(",") if first.count(b",") > 2 else ("", "")
    if not (rows.isdecimal() and inputs.isdecimal() and rest.partition(b"\n")[0].count(b",") == int(inputs)):
        return content, ()
    return (rest, tuple(names)) if len(rest.split()) == int(rows) else (content, ())


def _check_first_line(line: bytearray, path: Path) -> None:
    if len(line) > MAX_LINE:
        raise ValueError(
            f"{path}: got a first line of more than {MAX_LINE:,} bytes, expected rows, a line each"
        )
    columns = 1 + max(line.count(delimiter.encode()) for delimiter in DELIMITERS)
    if columns > MAX_COLUMNS:
        raise ValueError(
            f"{path}: got {columns:,} columns, expected at most {MAX_COLUMNS:,}, with an example a row; save "
            "larger examples as an .npz file"
        )


def _not_utf8(before: bytes, path: Path) -> ValueError:
    line = before.count(b"\n") + 1
    return ValueError(
        f"{path}: line {line}: got bytes that are no text in UTF-8, expected UTF-8; save it as UTF-8"
    )


def _squeezed(line: bytes) -> bytes:
    return b" ".join(line.split())


# --- where the columns are divided, and what they are called -----------------------------------------


def _rows(content: bytes, delimiter: str, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, as texts, each with the number of its last line.

    Raises:
      csv.Error: a cell has more than 131,072 characters, or, if strict, a quote is not closed.
    """
    with io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=strict)
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]


def _sample(content: bytes, delimiter: str, count: int = SAMPLE) -> list[list[str]]:
    """The first rows; none if they cannot be divided so."""
    try:
        return [row for _, row in islice(_rows(content, delimiter), count)]
    except csv.Error:
        return []


def _delimiter(content: bytes, path: Path) -> str:
    """What divides the first rows into the same number of columns, or else at least the first one."""
    is_tsv = ".tsv" in path.name.lower()
    samples = {delimiter: _sample(content, delimiter) for delimiter in DELIMITERS[:4]}
    lines = b"".join(islice(io.BytesIO(content), 2 * SAMPLE)).splitlines()
    samples[" "] = _sample(b"\n".join(map(_squeezed, lines)), " ")
    if is_tsv:
        samples = {"\t": samples["\t"]}
    for delimiter, rows in samples.items():
        widths = set(map(len, rows))
        if rows and len(rows[0]) > 1 and (len(widths) == 1 or _lacks_a_name(rows)):
            return delimiter
    for delimiter, rows in samples.items():  # the error about the rows will name the line
        if rows and len(rows[0]) > 1 and delimiter != " ":
            return delimiter
    _check_widths(content, "\t" if is_tsv else ",", path)
    known = "a tab" if is_tsv else "a comma, a semicolon, a tab, '|' or blanks"
    raise ValueError(f"{path}: got one column, expected several; is the delimiter not {known}?")


def _headed(content: bytes, comment: bytes, delimiter: str, may_have: bool) -> tuple[bytes, bool]:
    """The content, with a name for each column if the first row or a comment has them; and whether it has."""
    rows = _sample(content, delimiter)
    if not may_have:
        return content, False
    if _lacks_a_name(rows):
        first: Any = NOT_LINE_END.search(content)
        return content[: first.start()] + b'""' + delimiter.encode() + content[first.start() :], True
    rows = _sample(content, delimiter, SAMPLE + CELLS // len(rows[0])) or rows
    header, has_header = _commented_header(comment, delimiter, rows), _has_header(rows)
    if header and (not has_header or _all_texts(rows)):
        return header + content, True  # the content begins with an empty line, where the comment was
    return content, has_header


def _commented_header(comment: bytes, delimiter: str, rows: Sequence[Sequence[str]]) -> bytes:
    """A comment that names all columns, as savetxt of NumPy writes it, without the "#"; or nothing."""
    header = comment.removeprefix(b"#").strip()
    if header.startswith(delimiter.encode()):  # a column is called "#"
        header = comment
    names = next((row for _, row in _rows(header, delimiter)), [])
    return header if len(names) == len(rows[0]) and not all(map(NUMBER.fullmatch, names)) else b""


def _all_texts(rows: Sequence[Sequence[str]]) -> bool:
    return not any(NUMBER.fullmatch(cell) for row in rows for cell in row)


def _lacks_a_name(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names all columns but the first, as R writes a table whose rows have names."""
    first, *others = rows
    row_names = [row[0] for row in others]
    return (
        {len(row) for row in others} == {len(first) + 1}
        and len(set(row_names)) == len(row_names)
        and all(name.isdecimal() or not NUMBER.fullmatch(name) for name in row_names)
        and not any(map(NUMBER.fullmatch, first))
        and any(row[-1] for row in others)  # otherwise the rows, unlike the header, end with a delimiter
    )


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it has a text where the others have numbers."""
    first, *others = rows
    counted = first[1:] if first[0] == "" else first
    if len(counted) > 2 and list(counted) == list(map(str, range(len(counted)))):
        return True  # what pandas calls columns without names, perhaps after its index
    if not others:
        return not any(map(NUMBER.fullmatch, first))
    below = [[cell for cell in cells if cell not in MISSING] for cells in zip(*others, strict=False)]
    are_numbers = [bool(cells) and all(map(NUMBER.fullmatch, cells)) for cells in below]
    columns = list(zip(first, below, are_numbers, strict=False))
    above = [name for name, _, is_number in columns if is_number and name not in MISSING]
    texts = [(name, cells) for name, cells, is_number in columns if not is_number]
    if not all(map(NUMBER.fullmatch, above)):
        return True
    if any(name in cells for name, cells in texts):  # what names a column is not one of its values
        return False
    return not above or (bool(texts) and _are_names(above, texts))


def _are_names(numbers: Sequence[str], texts: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Whether numbers in the first row are names, beside columns of texts in which its texts do not recur.

    Names are 0, 1, ..., as in pandas; or they rise or fall, as years and wavelengths do, in even steps unless
    a text that does not recur stands above texts that do.
    """
    values = [float(number.replace(",", ".")) for number in numbers]
    steps = np.diff(values)
    do_recur = any(len(set(cells)) < len(cells) for _, cells in texts)
    if do_recur and len(values) > 1 and values == list(range(len(values))):
        return True
    in_order = len(steps) > 1 and ((steps > 0).all() or (steps < 0).all())
    return bool(in_order and (do_recur or np.allclose(steps, steps[0])))


# --- the values --------------------------------------------------------------------------------------


def _parsed(content: bytes, delimiter: str, has_header: bool, point: str, path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import csv as reader

    longest = max(map(len, islice(io.BytesIO(content), SAMPLE)))
    try:
        table = reader.read_csv(
            pa.BufferReader(content),
            reader.ReadOptions(block_size=max(BLOCK, 4 * longest), autogenerate_column_names=not has_header),
            reader.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            reader.ConvertOptions(null_values=MISSING, strings_can_be_null=True, decimal_point=point),
        )
    except pa.ArrowInvalid as error:
        _check_widths(content, delimiter, path)
        _check_quotes(content, delimiter, path)
        raise ValueError(f"{path}: got a damaged table ({error!s:.200}), expected rows of columns") from error
    return pa.Table.from_arrays(list(map(_without_blanks, table.columns)), table.column_names)


def _named(table: Any) -> tuple[Any, tuple[str, ...]]:
    """The table without a first column that names the rows; and the notes.

    Another column without a name is called by its place; if it is empty, it is left out, because the lines of
    a file often end with a delimiter.
    """
    first, *others = table.column_names
    names = [first, *(name or f"column {place}" for place, name in enumerate(others, 2))]
    kept = [
        place
        for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True))
        if name or column.null_count < len(column)
    ]
    notes: tuple[str, ...] = ()
    if first == "" and _names_rows(table.column(0)):
        kept, notes = kept[1:], ("the first column, without a name, names the rows and is left out",)
    return table.rename_columns(names).select(kept), notes


def _names_rows(column: Any) -> bool:
    """Whether it has a text or a date for each row, all of them different."""
    import pyarrow as pa

    is_name = pa.types.is_string(column.type) or pa.types.is_temporal(column.type)
    return is_name and not column.null_count and len(column.unique()) == len(column)


def _texts(table: Any) -> int:
    """How many columns are texts."""
    import pyarrow as pa

    return sum(pa.types.is_string(kind) for kind in table.schema.types)


def _without_blanks(column: Any) -> Any:
    """Texts without blanks around them; numbers, if that is what is left."""
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute  # type checkers see none of its functions

    if not pa.types.is_string(column.type):
        return column
    trimmed = compute.utf8_trim_whitespace(column)
    is_missing = compute.is_in(trimmed, pa.array(MISSING))
    texts = compute.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return texts


def _check_widths(content: bytes, delimiter: str, path: Path) -> None:
    expected = 0
    try:
        for line, row in _rows(content, delimiter):
            expected = expected or len(row)
            if len(row) != expected:
                raise ValueError(
                    f"{path}: line {line}: got {len(row)} columns, expected {expected}, as in the first row"
                )
    except csv.Error as error:
        raise ValueError(f"{path}: got a cell without an end ({error}); is a quote not closed?") from error


def _check_quotes(content: bytes, delimiter: str, path: Path) -> None:
    """Refuse a quote that is not closed: it makes one cell of all that follows."""
    if content.count(b'"') % 2 == 0:
        return
    line = 0
    try:
        for number, _ in _rows(content, delimiter, strict=True):
            line = number
    except csv.Error as error:
        raise ValueError(
            f"{path}: after line {line}: got a quote that is not closed ({error}), expected pairs of quotes"
        ) from error
