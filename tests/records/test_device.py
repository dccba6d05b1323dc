import re

import pytest

from attnbench.records import device


@pytest.mark.parametrize(
    ("text", "name", "kind", "number"),
    [
        ("cpu", "cpu", "cpu", 0),
        (" CUDA ", "cuda", "cuda", 0),
        ("cuda:0", "cuda", "cuda", 0),
        ("Cuda:1", "cuda:1", "cuda", 1),
        ("xpu:03", "xpu:3", "xpu", 3),
        ("mps", "mps", "mps", 0),
    ],
)
def test_a_device_is_a_kind_and_a_number(text, name, kind, number):
    assert device.written(text) == name
    assert (device.kind_of(name), device.number_of(name)) == (kind, number)
    assert device.written(name) == name


@pytest.mark.parametrize(
    "text",
    ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "cuda:1024", "cpu:0", "mps:1", "cuda:²"],
)
def test_another_word_is_no_device(text):
    with pytest.raises(ValueError, match=rf"^unknown device '{re.escape(text)}'"):
        device.written(text)
