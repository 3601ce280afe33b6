"""A model that computes in bf16 or fp16 and is called with float32, as every model of calserve-server is."""

import copy
import itertools

import torch

from model_export import ExportError, failing_as

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Of the largest logit: eager PyTorch rounds after every operation, a compiled model where it stores.
TOLERANCE = 0.05


def scale_of(logits, dtype):
    """What tolerances are of: the largest logit. Of fp32 no less than 1, where they stay small enough to tell models apart."""
    largest = logits.abs().max().item()
    return max(1.0 if dtype == "fp32" else 1e-6, largest)


class ShortFloats(torch.nn.Module):
    """A copy of the model with its weights in dtype. Float32 in, float32 out."""

    def __init__(self, model, dtype):
        super().__init__()
        self.model = copy.deepcopy(model).to(dtype)
        self.dtype = dtype

    def forward(self, x):
        return self.model(x.to(self.dtype)).float()


def shorten(model, name):
    """The model in bf16 or fp16; in fp32 itself."""
    if name == "fp32":
        return model
    for key, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if value.is_complex():
            raise ExportError(f"--dtype {name} is for models of real numbers; {key} of the model is complex")
    return ShortFloats(model, DTYPES[name]).eval()


def logits_of(model, inputs, name):
    """N x K by eager PyTorch, of the shortened model."""
    batch = torch.stack([tensor for _, tensor, _ in inputs])
    with torch.inference_mode(), failing_as(f"the model does not run in {name}", "leave --dtype out"):
        logits = model(batch)
    if not logits.isfinite().all():
        advice = "use --dtype bf16, which reaches as far as float32" if name == "fp16" else "leave --dtype out"
        raise ExportError(f"the model gives NaN or infinity in {name}: {advice}")
    return logits
