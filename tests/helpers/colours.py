"""A network that tells whether an image is red, green or blue, and such images."""

from pathlib import Path

import torch
from PIL import Image
from torch import nn

from attnbench.hosts.build import build

CLASSES = 8
SIZE = "32"
"""Of the images, where a network is to be quick."""

COLOURS = {"red": (250, 20, 20), "green": (20, 250, 20), "blue": (20, 20, 250)}


def network() -> nn.Module:
    """Red, green and blue are 0, 1 and 2; of the classes 3 to 7 each is less likely than the last.

    Every convolution is zero but those that hand the three colours on to the next stage, so the
    logits of 0, 1 and 2 are the means of the normalised channels, and 3 (from the first norm).
    """
    made = build("resnet50", classes=CLASSES).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.bn1.weight.fill_(1)
        made.bn1.bias.fill_(3)  # nothing is negative where the activation would cut it off
        for colour in range(3):
            made.conv1.weight[colour, colour, 3, 3] = 1
            made.fc.weight[colour, colour] = 1
        for stage in range(1, 5):
            convolution, norm = made.get_submodule(f"layer{stage}")[0].downsample
            convolution.weight[range(3), range(3), 0, 0] = 1
            norm.weight.fill_(1)
        made.fc.bias[3:] = -torch.arange(1.0, CLASSES - 2)
    return made


def weights(path: Path) -> Path:
    torch.save(network().state_dict(), path)
    return path


def image(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (50, 40), COLOURS[colour]).save(path)


def folder(path: Path) -> Path:
    """Nine images in folders named by numbers: 4 right in the top 1, 3 more in the top 5.

    The top 1 is the colour; the top 5 are 0 to 4, whatever the image.
    """
    for number, (name, colour) in enumerate(
        [
            ("0", "red"),
            ("0", "red"),
            ("1", "green"),
            ("2", "blue"),
            ("1", "red"),  # wrong, in the top 5
            ("3", "red"),
            ("4", "green"),
            ("5", "blue"),  # wrong, not in the top 5
            ("7", "red"),
        ]
    ):
        image(path / name / f"{number}.png", colour)
    return path
