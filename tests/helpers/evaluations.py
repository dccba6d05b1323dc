"""An evaluation as a record has it, of ImageNet's size."""

from dataclasses import replace
from typing import Any

from attnbench.records.evaluation import Data, Evaluation, Preprocessing, Weights


def evaluation(**changes: Any) -> Evaluation:
    counted = Evaluation(
        host="resnet50",
        module="sa",
        weights=Weights(name="sa_resnet50.pth.tar", sha256="a" * 64),
        data=Data(name="val", sha256="b" * 64, folders=1000, order="sorted"),
        classes=1000,
        images=50_000,
        top1_right=38_941,  # 77.882%, as SA-Net prints
        top1_tied=0,
        top5_right=46_900,  # 93.8%, where SA-Net prints 93.892
        preprocessing=Preprocessing(
            resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        dtype="float32",
        device="cpu",
        channels_last=False,
        batch_size=32,
        threads=2,
        environment={"cpu": "An imagined CPU", "torch": "2.15.0", "time": "2026-01-02T03:04:05"},
    )
    return replace(counted, **changes)
