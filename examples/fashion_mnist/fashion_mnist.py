"""Fashion-MNIST as the model sees it, and the figures that train.py and evaluate.py print."""

import gzip
import math
import pathlib

import numpy as np
import torch
from torch.nn import functional

DEFAULT_DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

MEAN = 0.2860  # of pixel / 255; model.yaml repeats both
STD = 0.3530

_FILE_PREFIX = {"train": "train", "test": "t10k"}


def read_images(data, split):
    """Raw pixels of a split ("train": 60,000, "test": 10,000), N×28×28 uint8."""
    with gzip.open(pathlib.Path(data) / f"{_FILE_PREFIX[split]}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 28, 28)


def read_labels(data, split):
    """True classes of a split, N int64 in 0..9."""
    with gzip.open(pathlib.Path(data) / f"{_FILE_PREFIX[split]}-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=8).astype(np.int64)


def to_input(pixels):
    """N×28×28 uint8 to the model's N×1×28×28 float32."""
    scaled = torch.from_numpy(pixels.copy()).unsqueeze(1).to(torch.float32) / 255
    return (scaled - MEAN) / STD


def logits_of(model, inputs, batch_size=500):
    """N×10 float32."""
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in inputs.split(batch_size)])


def accuracy(logits, labels):
    return (logits.argmax(dim=1) == labels).double().mean().item()


def negative_log_likelihood(logits, labels, temperature=1.0):
    return functional.cross_entropy(logits.double() / temperature, labels).item()


def expected_calibration_error(logits, labels, temperature=1.0, bins=15):
    """Top-label ECE over equal-width bins (left-open, right-closed) of confidence."""
    confidence, predicted = (logits.double() / temperature).softmax(dim=1).max(dim=1)
    gap = confidence - (predicted == labels).double()
    inner_edges = torch.tensor([edge / bins for edge in range(1, bins)], dtype=torch.float64)
    bin_of = torch.bucketize(confidence, inner_edges)
    return torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_of, gap).abs().sum().item() / len(labels)


def mean_confidence(logits):
    return logits.double().softmax(dim=1).max(dim=1).values.mean().item()


def best_temperature(logits, labels):
    """The temperature of least NLL, by golden-section search over its logarithm in [0.05, 20]."""
    low, high = math.log(0.05), math.log(20)
    shrink = (math.sqrt(5) - 1) / 2
    while high - low > 1e-6:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        if negative_log_likelihood(logits, labels, math.exp(left)) < negative_log_likelihood(logits, labels, math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
