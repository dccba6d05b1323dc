"""The task of classification: images of one class each, cross-entropy, top-1 and top-5."""
