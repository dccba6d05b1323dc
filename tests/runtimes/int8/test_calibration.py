"""The user's images that int8 takes its ranges from."""

import hashlib
from pathlib import Path

import pytest
import torch
from helpers import colours
from PIL import Image

from attnbench.accuracy.images import preprocessing, transform
from attnbench.errors import UserError
from attnbench.records.evaluation import Calibration
from attnbench.runtimes.int8 import calibration, images


def test_a_batch_is_filled_with_its_last_image() -> None:
    two = torch.tensor([[1.0], [2.0]])
    assert images.filled(two, 4).tolist() == [[1.0], [2.0], [2.0], [2.0]]
    assert images.filled(two, 2).tolist() == two.tolist()


def test_images_to_calibrate_on_lie_anywhere_in_a_folder(tmp_path: Path, monkeypatch) -> None:
    for name in ("b/1.png", "a.png", "c.png"):
        colours.image(tmp_path / name, "red")
    (tmp_path / "note.txt").write_text("no image")
    files = [tmp_path / name for name in ("a.png", "b/1.png", "c.png")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    known, batches = images.batches(tmp_path, lambda _: torch.ones(3, 2, 2), 2)
    assert known == Calibration(name=tmp_path.name, images=3, sha256=digest)
    assert [tuple(batch.shape) for batch in batches] == [(2, 3, 2, 2)] * 2  # the last one filled
    monkeypatch.setattr(calibration, "MOST_IMAGES", 2)
    few, _ = images.batches(tmp_path, lambda _: torch.ones(3, 2, 2), 2)
    assert few.images == 2
    (tmp_path / "c.png").write_text("no image")
    monkeypatch.setattr(calibration, "MOST_IMAGES", 64)
    with pytest.raises(UserError, match=r"c\.png cannot be read as an image"):
        images.batches(tmp_path, lambda _: torch.ones(3, 2, 2), 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images to calibrate int8 on"):
        images.batches(tmp_path / "empty", lambda _: torch.ones(1), 2)


def test_a_case_states_name_number_and_digest(tmp_path: Path) -> None:
    colours.image(tmp_path / "photos" / "a.png", "red")
    digest = hashlib.sha256((tmp_path / "photos" / "a.png").read_bytes()).hexdigest()
    assert calibration.identify(tmp_path / "photos") == f"photos: 1 images, SHA-256 {digest}"
    with pytest.raises(UserError, match=r"cannot take images from .*nowhere: no such folder"):
        calibration.identify(tmp_path / "nowhere")


def test_a_square_is_cropped_as_evaluate_does() -> None:
    """Two gradients, 90 x 60: resized to 110 x 73 (64 * 256 / 224 = 73.14), 64 x 64 of these."""
    picture = Image.linear_gradient("L").resize((90, 60))
    image = Image.merge(
        "RGB", (picture, picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), picture)
    )
    made = images.cropped(64, 64)(image)
    torch.testing.assert_close(made, transform(preprocessing(64))(image), atol=1e-6, rtol=0)


def test_another_shape_is_covered() -> None:
    assert images.cropped(20, 60)(Image.new("RGB", (30, 30), "white")).shape == (3, 20, 60)
    white = (1 - torch.tensor(images.MEAN)) / torch.tensor(images.STD)
    made = images.cropped(60, 20)(Image.new("RGB", (30, 30), "white"))
    assert made.shape == (3, 60, 20)
    torch.testing.assert_close(made[:, 59, 19], white)
