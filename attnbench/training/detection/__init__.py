"""The task of detection: boxes and masks on COCO-format data, losses of torchvision, COCO's AP."""
