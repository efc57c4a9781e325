"""Signals from csv and tsv, and the text files beside a recording."""

from __future__ import annotations

import numpy as np
import pytest

from rheobase.io.readers import read


@pytest.fixture
def write(tmp_path):
    def written(text, name="a.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return written


def load(path, files=None, **reader):
    reader = {"format": path.suffix[1:], "header": True, **reader}
    return read(path, reader=reader, files=files or {}, preprocess={})


def test_rows_are_time_and_headers_are_names(write):
    raw = load(write("V1, M1\n1,2\n3,4.5\n5,6\n"))
    np.testing.assert_array_equal(raw.signal, [[1, 2], [3, 4.5], [5, 6]])
    assert raw.names == ("V1", "M1")


def test_tsv_is_cut_at_tabs(write):
    raw = load(write("a\tb\n1\t2\n3\t4\n", "a.tsv"))
    np.testing.assert_array_equal(raw.signal, [[1, 2], [3, 4]])


def test_headerless_columns_are_named_by_position(write):
    raw = load(write("1,2\n3,4\n"), header=False)
    assert raw.names == ("0", "1")
    assert raw.signal[0].tolist() == [1, 2]


def test_byte_order_mark_is_no_part_of_a_name(write):
    raw = load(write("a,b\n1,2\n3,4\n", encoding="utf-8-sig"))
    assert raw.names == ("a", "b")


def test_missing_cells_stay_nan(write):
    raw = load(write("a,b\n1,\n3,NaN\nnan,4\n"))
    np.testing.assert_array_equal(np.isnan(raw.signal), [[0, 1], [0, 1], [1, 0]])


def test_included_columns_keep_the_given_order(write):
    raw = load(write("a,b,c\n1,2,x\n3,4,y\n"), columns={"include": ["b", "a"]})
    assert raw.names == ("b", "a")
    np.testing.assert_array_equal(raw.signal, [[2, 1], [4, 3]])


def test_excluded_columns_may_hold_text(write):
    raw = load(write("a,b,c\n1,2,x\n3,4,y\n"), columns={"exclude": ["c"]})
    assert raw.names == ("a", "b")


def test_columns_may_be_given_by_number(write):
    raw = load(write("1,2,3\n4,5,6\n"), header=False, columns={"include": [2]})
    assert raw.names == ("2",)


def test_label_columns_are_no_signals(write):
    raw = load(write("a,b,speed,state\n1,2,0.5,go\n3,4,1.5,None\n"), label_keys=["speed", "state"])
    assert raw.names == ("a", "b")
    np.testing.assert_array_equal(raw.times["speed"], [0.5, 1.5])
    assert raw.times["state"].tolist() == ["go", "None"]


def test_block_and_trial_columns_are_kept(write):
    raw = load(write("a,b,t\n1,x,1\n3,x,2\n4,y,2\n"), block_key="b", trial_key="t")
    assert raw.times["block"].tolist() == [0, 0, 1]
    assert raw.times["trial"].tolist() == [1, 2, 2]


def test_time_column_gives_the_rate(write):
    raw = load(write("t,a\n0,1\n0.5,2\n1.0,3\n1.5,4\n"), time_column="t")
    assert raw.rate_hz == 2
    assert raw.names == ("a",)


def test_text_among_numbers_is_refused_by_row_and_column(write):
    with pytest.raises(ValueError, match=r"a\.csv: row 2 \(line 3\), column 'b' holds 'high'"):
        load(write("a,b\n1,2\n3,high\n5,6\n"))


def test_numbers_beyond_integers_are_read(write):
    assert (
        load(write("a\n1\n123456789012345678901234567890\n")).signal[1, 0]
        == 123456789012345678901234567890.0
    )


def test_side_file_that_was_not_resolved_is_refused(write):
    with pytest.raises(ValueError, match="reader.units_file and the side files given do not agree"):
        load(write("a,b\n1,2\n3,4\n"), units_file="x")


def test_empty_text_label_is_refused_by_row(write):
    with pytest.raises(ValueError, match=r"row 2 \(line 3\), column 's' holds no label"):
        load(write("a,s\n1,go\n3,\n"), label_keys=["s"])


def test_unknown_column_lists_those_there(write):
    with pytest.raises(ValueError, match="has no column z; it has a, b"):
        load(write("a,b\n1,2\n3,4\n"), columns={"exclude": ["z"]})


def test_no_signal_left_is_refused(write):
    with pytest.raises(ValueError, match="no column is left for signals"):
        load(write("a\n1\n3\n"), columns={"exclude": ["a"]})


def test_column_names_must_be_unique(write):
    with pytest.raises(ValueError, match="columns a occur twice"):
        load(write("a,a\n1,2\n3,4\n"))


def test_nameless_column_is_never_taken_for_a_signal(write):
    text = ",a\n0,1.5\n1,2.5\n"
    with pytest.raises(ValueError, match=r"column 0 \(from 0\) has no name"):
        load(write(text))
    assert load(write(text), columns={"exclude": ["0"]}).names == ("a",)


def test_header_of_plain_numbers_is_taken_for_data(write):
    with pytest.raises(ValueError, match="first line holds only numbers; say header: false"):
        load(write("12,-3\n4,5\n6,7\n"))


def test_region_numbers_may_be_headers(write):
    assert load(write("1,2,7\n4,5,6\n6,7,8\n")).names == ("1", "2", "7")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3,4\n5", "line 4 has 1 cells, the first line has 2"),
        ("a,b\n1,2,3\n3,4,5\n", "line 2 has 3 cells"),
        ("a,b\n1,2\n\n3,4\n", "line 3 is blank"),
        ("a,b\n", "has 1 lines and no row of numbers"),
        ("", "has 0 lines"),
    ],
)
def test_damaged_tables_are_refused(write, text, words):
    with pytest.raises(ValueError, match=rf"a\.csv.*{words}"):
        load(write(text))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff\xfe\x00,1\n")
    with pytest.raises(ValueError, match=r"a\.csv is not a readable UTF-8 text file"):
        load(tmp_path / "a.csv")


def test_quoted_names_may_hold_the_delimiter(write):
    assert load(write('"a,1",b\n1,2\n3,4\n')).names == ("a,1", "b")


def test_table_may_hold_units_in_rows(write):
    raw = load(write("1,2,3\n4,5,6\n"), header=False, orientation="time_last")
    np.testing.assert_array_equal(raw.signal, [[1, 4], [2, 5], [3, 6]])


def test_wide_headerless_table_is_refused(write):
    with pytest.raises(ValueError, match="2 samples of 3 units: transposed"):
        load(write("1,2,3\n4,5,6\n"), header=False)


def test_option_of_another_format_is_refused(write):
    with pytest.raises(
        ValueError, match="reader.label_key has no meaning for format csv.*label_keys"
    ):
        load(write("a,b\n1,2\n3,4\n"), label_key="b")


def test_label_may_not_take_a_reserved_name(write):
    with pytest.raises(ValueError, match="a label cannot be called 'time'"):
        load(write("a,time\n1,2\n3,4\n"), label_keys=["time"])


def test_labels_file_gives_label_and_block(write):
    labels = write("rest 0\nface 0\nface 1\n", "labels.txt")
    raw = load(
        write("a\n1\n2\n3\n"),
        {"labels_file": labels},
        labels_file="x",
        block_column=1,
        label_name="category",
    )
    assert raw.times["category"].tolist() == ["rest", "face", "face"]
    assert raw.times["block"].tolist() == [0, 0, 1]


def test_labels_file_of_numbers_gives_numbers(write):
    labels = write("x 1\nx 2\n", "labels.txt")
    raw = load(write("a\n1\n2\n"), {"labels_file": labels}, labels_file="x", labels_column=1)
    assert raw.times["label"].tolist() == [1, 2]


def test_labels_file_of_another_length_is_refused(write):
    labels = write("rest\nface\n", "labels.txt")
    with pytest.raises(ValueError, match="labels.txt has 2 lines but the signal has 3 samples"):
        load(write("a\n1\n2\n3\n"), {"labels_file": labels}, labels_file="x")


def test_labels_file_without_the_column_is_refused_by_line(write):
    labels = write("rest 0\nface\n", "labels.txt")
    with pytest.raises(ValueError, match=r"labels.txt: line 2 has no column 1"):
        load(write("a\n1\n2\n"), {"labels_file": labels}, labels_file="x", block_column=1)


def test_missing_side_file_is_named(write, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no.txt does not exist; correct reader.labels_file or put"
    ):
        load(write("a\n1\n2\n"), {"labels_file": tmp_path / "no.txt"}, labels_file="x")


def test_units_file_rows_are_found_by_name(write):
    units = write("name\tnetwork\nb\tMotor\na\tVisual\n", "units.tsv")
    raw = load(write("a,b\n1,2\n3,4\n"), {"units_file": units}, units_file="x")
    assert raw.unit_labels["network"].tolist() == ["Visual", "Motor"]


def test_units_file_without_a_named_unit_is_refused(write):
    units = write("name\tnetwork\nb\tMotor\nc\tVisual\n", "units.tsv")
    with pytest.raises(ValueError, match="units.tsv has no row named a"):
        load(write("a,b\n1,2\n3,4\n"), {"units_file": units}, units_file="x")


def test_units_file_names_nameless_units(write):
    units = write("name\tx\nV1\t1.5\nM1\t2\n", "units.tsv")
    raw = load(write("1,2\n3,4\n"), {"units_file": units}, header=False, units_file="x")
    assert raw.names == ("V1", "M1")
    np.testing.assert_array_equal(raw.unit_labels["x"], [1.5, 2])


def test_units_file_with_an_uneven_line_is_refused(write):
    units = write("name\tx\nV1\t1.5\nM1\n", "units.tsv")
    with pytest.raises(ValueError, match="units.tsv: line 3 has 1 cells"):
        load(write("1,2\n3,4\n"), {"units_file": units}, header=False, units_file="x")


@pytest.mark.parametrize(
    "text",
    ["a;b;c\n1,5;2,5;3\n1;2;3\n", "a;b\n1.5;2\n1;2\n", "1,5;2\n1,5;2,5\n"],
)
def test_a_table_with_semicolons_is_to_be_exported_with_commas(write, text):
    with pytest.raises(ValueError, match="';'.* export it with commas and decimal points"):
        load(write(text), header=text.startswith("a"))


def test_a_cell_too_large_for_float32_is_named(write):
    with pytest.raises(ValueError, match=r"column 'b' reaches 1e\+40, too large for float32"):
        load(write("a,b\n1,2\n3,1e40\n"))
