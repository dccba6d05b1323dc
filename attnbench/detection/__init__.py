"""Detection and instance segmentation on one's own COCO-format data: how precise weights are."""
