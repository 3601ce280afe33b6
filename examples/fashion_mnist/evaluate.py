"""Measures a trained model on the test set, once, after every choice was made."""

import argparse
import pathlib

import torch

import fashion_mnist


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default=fashion_mnist.DEFAULT_DATA)
    parser.add_argument(
        "--model",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parent / "models" / "fashion_mnist" / "1" / "model.pt",
    )
    args = parser.parse_args()

    inputs = fashion_mnist.to_input(fashion_mnist.read_images(args.data, "test"))
    labels = torch.from_numpy(fashion_mnist.read_labels(args.data, "test"))
    logits = fashion_mnist.logits_of(torch.jit.load(str(args.model)), inputs)

    temperature = fashion_mnist.best_temperature(logits, labels)
    print(f"test images      {len(labels)}")
    print(f"accuracy         {fashion_mnist.accuracy(logits, labels):.4f}")
    print(f"mean confidence  {fashion_mnist.mean_confidence(logits):.4f}")
    print(f"NLL              {fashion_mnist.negative_log_likelihood(logits, labels):.4f}")
    print(f"ECE, 15 bins     {fashion_mnist.expected_calibration_error(logits, labels):.4f}")
    print(f"best temperature {temperature:.3f}, fitted on these same test labels")
    print(f"  NLL with it    {fashion_mnist.negative_log_likelihood(logits, labels, temperature):.4f}")
    print(f"  ECE with it    {fashion_mnist.expected_calibration_error(logits, labels, temperature):.4f}")


if __name__ == "__main__":
    main()
