"""What is written is whole or absent, and what was there before stays until it is replaced."""

import stat

import pytest

from attnbench import files
from attnbench.errors import UserError
from attnbench.files import write_whole


def test_a_file_has_the_content_and_the_permissions_of_any_other(tmp_path):
    (tmp_path / "usual").write_text("")
    write_whole(tmp_path / "written", b"content")
    assert (tmp_path / "written").read_bytes() == b"content"
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "written")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("call", ["fdopen", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, call, error):
    def fails(*_):
        raise error

    path = tmp_path / "table.md"
    path.write_text("old")
    monkeypatch.setattr(files.os, call, fails)
    with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
        write_whole(path, b"new")
    assert [left.name for left in tmp_path.iterdir()] == ["table.md"]
    assert path.read_text() == "old"
