"""Trains the demo's classifier in the ordinary way: plain cross-entropy, Adam, a fixed number of epochs.

Nothing here tries to make the model calibrated or uncalibrated, and the test set is never read.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import torch
from torch import nn

import fashion_mnist
from model_export import packages

INPUT_SHAPE = (1, 28, 28)


class Classifier(nn.Module):
    """N×1×28×28 float32 to N×10 logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * 7 * 7, 56)
        self.output = nn.Linear(56, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.output(torch.relu(self.hidden(x.flatten(1))))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default=fashion_mnist.DEFAULT_DATA)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "models" / "fashion_mnist")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)

    inputs = fashion_mnist.to_input(fashion_mnist.read_images(args.data, "train"))
    labels = torch.from_numpy(fashion_mnist.read_labels(args.data, "train"))
    order = torch.randperm(len(labels))
    validation, training = order[:5000], order[5000:]
    validation_inputs, validation_labels = inputs[validation], labels[validation]

    model = Classifier()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, torch {torch.__version__}, seed {args.seed}", flush=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    for epoch in range(1, args.epochs + 1):
        start = time.monotonic()
        model.train()
        seen_logits, seen_labels = [], []
        for rows in training[torch.randperm(len(training))].split(64):
            logits = model(inputs[rows])
            loss = nn.functional.cross_entropy(logits, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            seen_logits.append(logits.detach())
            seen_labels.append(labels[rows])
        model.eval()
        figures = {
            "train": (torch.cat(seen_logits), torch.cat(seen_labels)),
            "val": (fashion_mnist.logits_of(model, validation_inputs), validation_labels),
        }
        print(
            f"epoch {epoch:2d} "
            + " ".join(
                f" {name}: loss {fashion_mnist.negative_log_likelihood(*pair):.4f}"
                f" accuracy {fashion_mnist.accuracy(*pair):.4f}"
                f" ece {fashion_mnist.expected_calibration_error(*pair):.4f}"
                for name, pair in figures.items()
            )
            + f"  {time.monotonic() - start:.1f} s",
            flush=True,
        )

    pair = figures["val"]
    temperature = fashion_mnist.best_temperature(*pair)
    print(
        f"validation: mean confidence {fashion_mnist.mean_confidence(pair[0]):.4f}, best temperature {temperature:.3f}, with it loss"
        f" {fashion_mnist.negative_log_likelihood(*pair, temperature):.4f}"
        f" ece {fashion_mnist.expected_calibration_error(*pair, temperature):.4f}"
    )
    packages.save_torchscript(model, args.output / "1" / "model.pt", INPUT_SHAPE)
    (args.output / "labels.txt").write_text("".join(f"{label}\n" for label in fashion_mnist.LABELS))


if __name__ == "__main__":
    main()
