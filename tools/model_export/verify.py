"""Loads what was written and compares it with eager PyTorch."""

import warnings

import torch

from model_export import ExportError

TOLERANCE = {"cpu": 1e-4, "cuda": 0.02}  # of the largest logit


def batch_sizes(max_batch_size):
    return sorted({n for n in (1, 2, 3, 5, 8, max_batch_size) if n <= max_batch_size})


def load(path, device):
    if path.suffix == ".pt2":
        return torch._inductor.aoti_load_package(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.load(str(path), map_location=device)


def verify(path, model, inputs, max_batch_size, device):
    """Runs batches of several sizes, each row among others than before. Gives the largest difference of a logit.

    model is on the CPU; inputs is a list of tensors.
    """
    loaded = load(path, device)
    worst = 0.0
    for rows in batch_sizes(max_batch_size):
        batch = torch.stack([inputs[(rows + i) % len(inputs)] * (1 - i / (4 * rows)) for i in range(rows)])
        with torch.inference_mode():
            expected = model(batch)
            try:
                got = loaded(batch.to(device)).cpu()
            except Exception as error:
                raise ExportError(f"{path.name} does not run a batch of {rows}: {error}") from error
        if got.shape != expected.shape:
            raise ExportError(f"{path.name} gives {list(got.shape)} for a batch of {rows}; PyTorch {list(expected.shape)}")
        difference = (got - expected).abs().max().item()
        allowed = TOLERANCE[torch.device(device).type] * max(1.0, expected.abs().max().item())
        if not difference <= allowed:
            raise ExportError(
                f"{path.name} gives other logits than PyTorch for a batch of {rows}: they differ by {difference:.3g},"
                f" allowed {allowed:.3g}"
            )
        worst = max(worst, difference)
    return worst
