import json
from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.image_size import of, option, parse, sides, written
from attnbench.records.schema import End, Plan, Record


@pytest.mark.parametrize(
    ("text", "size", "people", "machines"),
    [
        ("224", 224, "224x224", "224"),
        ("224x224", 224, "224x224", "224"),
        ("800x1333", (800, 1333), "800x1333", "800x1333"),
    ],
)
def test_a_size_is_written_in_one_way(text, size, people, machines):
    assert parse(text) == size
    assert of(*sides(size)) == size
    assert (written(size), option(size)) == (people, machines)
    assert parse(option(size)) == size


def test_a_text_that_is_not_a_size_is_refused():
    with pytest.raises(ValueError, match="'1x2x3' is not an image size such as 224 or 800x1333"):
        parse("1x2x3")


def test_a_case_knows_the_shape_of_its_images(case):
    assert case.input_shape == (2, 3, 32, 32)
    wide = replace(case, image_size=(64, 96))
    assert wide.input_shape == (2, 3, 64, 96)
    assert ", 64x96, " in wide.described
    with pytest.raises(ValueError, match="a single number where the image is square"):
        replace(case, image_size=(64, 64))
    with pytest.raises(ValueError, match="at least 1"):
        replace(case, image_size=(0, 64))


def test_sizes_come_back_from_a_file_as_they_were(case, tmp_path):
    for size in (32, (64, 96)):
        folder = tmp_path / option(size)
        results = Plan(variants=("plain", "control"), budget_s=1.0, target=0.01)
        record = Record(case=replace(case, image_size=size), results=results, environment={})
        store.append(folder, record)
        assert store.read(folder) == [record]


@pytest.mark.parametrize("size", ["224", 2.5, True, [1], [1, 2, 3], [64, 64], ["a", 1], None])
def test_another_size_in_a_file_is_bad_input(case, tmp_path, size):
    line = Record(case=case, results=End(reason="budget", rounds=0), environment={}).as_json()
    line["case"]["image_size"] = size
    (tmp_path / store.FILE_NAME).write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"line 1: case"):
        store.read(tmp_path)
