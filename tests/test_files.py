"""What is written is whole or absent, and what was there before stays until it is replaced."""

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from attnbench import files
from attnbench.errors import UserError
from attnbench.files import read_named, require_folder, resolved, write_whole


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


def test_a_folder_is_tried_and_nothing_of_the_trial_is_left(tmp_path, monkeypatch):
    require_folder(tmp_path)
    require_folder(tmp_path / "new" / "deep")
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").touch()
    for name in ("file", "file/x"):
        with pytest.raises(UserError, match="file is not a folder"):
            require_folder(tmp_path / name)
    with pytest.raises(UserError, match="File name too long"):
        require_folder(tmp_path / ("a" * 300))

    def read_only(*_, **__):  # as a folder answers that is read-only; root may write to any
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "mkdtemp", read_only)
    with pytest.raises(UserError, match=r"nothing can be made in .* \(Read-only file system\)"):
        require_folder(tmp_path / "new")


def test_a_pipe_is_read_to_its_end_and_without_a_writer_is_empty(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert read_named(path) == b""
    reader, writer = os.pipe()  # as a shell passes <(command)
    Thread(target=lambda: [os.write(writer, b"sa: 1\n" * 20_000), os.close(writer)]).start()
    assert read_named(Path(f"/dev/fd/{reader}")) == b"sa: 1\n" * 20_000
    os.close(reader)


def test_a_device_is_not_read_for_it_may_have_no_end():
    with pytest.raises(OSError, match="a device and no file"):
        read_named(Path("/dev/zero"))


def test_links_that_lead_to_each_other_have_a_path_too(tmp_path):
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    (tmp_path / "three").symlink_to(tmp_path)
    assert resolved(tmp_path / "one").parent == resolved(tmp_path)
    assert resolved(tmp_path / "three" / ".." / tmp_path.name / "a") == tmp_path / "a"
