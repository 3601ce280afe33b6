"""Warm-up samples: inputs, and the logits that eager PyTorch gives for them on the CPU."""

import math
import re
import shutil

import numpy
import torch

from model_export import ExportError, directory, failing_as, image_input, short_floats

SCALED_TOLERANCE = 0.001  # of the largest logit; kernels of other processors differ by less than a hundredth of it
GPU_TOLERANCE = 0.02  # convolutions in TF32 keep 10 bits
LOSSY_TOLERANCE = 0.02  # another JPEG or WebP decoder may differ by a pixel value
IMAGE_STARTS = {"jpg": rb"\xff\xd8\xff", "png": rb"\x89PNG\r\n\x1a\n", "webp": rb"RIFF....WEBP"}  # what the server reads


def preprocess(spec, pixels):
    """C x H x W uint8 to the model's input, as the server does it; pixels in rgb or grey."""
    from torchvision.transforms.v2 import InterpolationMode, functional

    size = list(spec.size) if spec.resize is None else [spec.resize] if isinstance(spec.resize, int) else list(spec.resize)
    image = functional.resize(pixels, size, InterpolationMode(spec.interpolation), antialias=True)
    image = functional.center_crop(image, list(spec.size))
    if spec.color == "bgr":
        image = image.flip(0)
    image = image.float() / 255 if spec.scale else image.float()
    mean = torch.tensor(spec.mean or (0.0,)).view(-1, 1, 1)
    std = torch.tensor(spec.std or (1.0,)).view(-1, 1, 1)
    return (image - mean) / std


def check_preset(spec, preset, pixels):
    """That model.yaml's words do what the weights' own transforms do to a Pillow image, up to rounding.

    Of the 28 different transforms in torchvision 0.29 none is more than 2 levels and 0.02 on average apart.
    """
    from PIL import Image

    level = 1 / 255 / min(spec.std or (1.0,))
    theirs = preset(Image.fromarray(pixels.permute(1, 2, 0).numpy()))
    difference = (preprocess(spec, pixels) - theirs).abs() / level
    if difference.max() > 3 or difference.mean() > 0.05:
        raise ExportError(
            "model.yaml would not preprocess as the weights' transforms do: pixels differ by up to"
            f" {difference.max():.3g} levels, {difference.mean():.3g} on average"
        )


def synthetic_pixels(spec, generator):
    """A photograph of sorts: slopes, discs and noise, of another shape than the model's input."""
    longest = max(*spec.size, *(n for n in image_input.sides(spec.resize or spec.size) if n))
    height, width = longest + longest // 5 + 8, longest + longest // 2 + 8
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    image = torch.rand(spec.channels, 3, generator=generator) @ torch.stack([x, y, x * y]).flatten(1) * 120
    image = image.view(spec.channels, height, width)
    for _ in range(6):
        cy, cx, radius = torch.rand(3, generator=generator).tolist()
        color = torch.rand(spec.channels, 1, generator=generator) * 255
        image[:, (y - cy) ** 2 + (x - cx) ** 2 < (radius / 3) ** 2] = color
    return (image + torch.rand(image.shape, generator=generator) * 20).clamp(0, 255).to(torch.uint8)


def read_image(spec, path):
    """The kind of an image file, and its pixels."""
    from torchvision.io import ImageReadMode, decode_image

    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read --sample-image {path}: {error.strerror}") from None
    kind = next((kind for kind, start in IMAGE_STARTS.items() if re.match(start, encoded, re.DOTALL)), None)
    if kind is None:
        raise ExportError(f"--sample-image is a JPEG, PNG or WebP file; {path} is none of them by its first bytes")
    mode = ImageReadMode.GRAY if spec.channels == 1 else ImageReadMode.RGB
    try:
        pixels = decode_image(torch.frombuffer(bytearray(encoded), dtype=torch.uint8), mode)
    except RuntimeError as error:
        reason = re.sub(r"^.*?\.cpp:\d+, ", "", str(error).splitlines()[0])  # a place in torchvision's sources
        raise ExportError(f"cannot decode --sample-image {path}: {reason}; is the file whole?") from None
    if pixels.dtype != torch.uint8:
        raise ExportError(f"--sample-image has 8 bits a channel; {path} has 16: save it with 8")
    return kind, pixels


def make_inputs(args, model_input, preset, folder):
    """Writes the files of the samples into folder; gives [(file name, input, lossy)]."""
    generator = torch.Generator().manual_seed(args.seed)
    is_image = isinstance(model_input, image_input.ImageInput)
    inputs = []
    if is_image and model_input.transform == "torchvision" and model_input.interpolation != "area":
        inputs = make_images(args, model_input, preset, folder, generator)
    elif args.sample_image:
        raise ExportError("--sample-image needs transform torchvision: OpenCV's arithmetic is not repeated here")
    for i in range(len(inputs), args.samples + len(args.sample_image)):
        tensor = torch.randn(model_input.shape, generator=generator)
        numpy.save(folder / f"input_{i}.npy", tensor.numpy())
        inputs.append((f"input_{i}.npy", tensor, False))
    return inputs


def make_images(args, spec, preset, folder, generator):
    """Real images as they are, and half of the made-up samples as PNG."""
    from torchvision.io import write_png

    inputs = []
    for i, path in enumerate(args.sample_image):
        kind, pixels = read_image(spec, path)
        name = f"photo_{i}.{kind}"
        shutil.copyfile(path, folder / name)
        inputs.append((name, preprocess(spec, pixels), kind != "png"))
    for i in range((args.samples + 1) // 2):
        pixels = synthetic_pixels(spec, generator)
        if preset is not None and spec == image_input.from_preset(preset):  # no flag changes it
            check_preset(spec, preset, pixels)
        write_png(pixels, str(folder / f"image_{i}.png"))
        inputs.append((f"image_{i}.png", preprocess(spec, pixels), False))
    return inputs


def reference_logits(model, inputs, labels):
    """N x K by eager PyTorch, after a look at whether the model is one that can be served."""
    batch = torch.stack([tensor for _, tensor, _ in inputs])
    given = batch.clone()
    with torch.inference_mode(), failing_as(f"the model does not run on an input of shape {list(batch.shape)}"):
        logits, again, third = model(batch.clone()), model(given), model(given)
    if not isinstance(logits, torch.Tensor):
        raise ExportError(
            f"the model must give one tensor of logits, N x K; gave a {type(logits).__name__}: wrap it in a module whose"
            f" forward gives the logits alone{where_they_are(logits)}"
        )
    shapes = [[len(batch), len(labels)]] + ([[len(batch), 1]] if len(labels) == 2 else [])
    if list(logits.shape) not in shapes:
        raise ExportError(
            f"the model must give logits of shape {' or '.join(map(str, shapes))} for {len(labels)} labels;"
            f" gave {list(logits.shape)}"
        )
    if not logits.dtype.is_floating_point:
        raise ExportError(f"the logits must be floats; were {logits.dtype}")
    if not logits.isfinite().all():
        raise ExportError(f"the logits must be finite; {why_not_finite(model, logits)}")
    if not torch.equal(given, batch) and not torch.equal(logits, third):
        raise ExportError("the model changes its input in place, and then gives other logits for it; let it change a copy")
    if not torch.equal(logits, again):
        raise ExportError("the model gives other logits for the same input: something in it is random, also in eval mode")
    check_alone(model, batch, logits)
    if logits.shape[1] > 1 and (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(len(batch)), atol=1e-4):
        raise ExportError(
            "the model gives probabilities (each row sums to 1); calibration needs the logits before the softmax"
        )
    return logits.float()


def where_they_are(output):
    """In what models of transformers give, and others that give a dict."""
    return ", such as output['logits']" if isinstance(output, dict) and "logits" in output else ""


def check_alone(model, batch, logits):
    """That an input's logits do not depend on what else is in its batch: the server batches different callers' inputs."""
    together = batch if len(batch) > 1 else torch.cat([batch, -batch])
    with torch.inference_mode(), failing_as("the model does not run on a batch of 1"):
        expected, alone = model(together.clone()), [model(row.clone()) for row in together.split(1)]
    if list(alone[0].shape) != [1, logits.shape[1]]:
        raise ExportError(
            f"the model must give logits of shape [1, {logits.shape[1]}] for a batch of 1; gave {list(alone[0].shape)}: does"
            " it squeeze all dimensions?"
        )
    apart = (torch.cat(alone) - expected).abs().max().item()
    if apart > SCALED_TOLERANCE * max(1.0, expected.abs().max().item()):
        raise ExportError(
            f"the model gives other logits for an input alone than beside others (by {apart:.3g}), and the server batches"
            " the inputs of different callers: is there a BatchNorm without running statistics or kept in training, a mean"
            " over the batch, or dynamic quantization?"
        )


def doubt(logits):
    """What may be wrong with them though nothing proves it; empty: nothing."""
    if (logits >= 0).all() and (logits <= 1).all():
        return "every logit is between 0 and 1: if the model ends in a sigmoid, leave it out"
    return ""


def why_not_finite(model, logits):
    broken = [name for name, value in model.state_dict().items() if not value.isfinite().all()]
    if broken:
        return f"{broken[0]} of the model has NaN or infinity in it: save weights that are whole"
    rows = (~logits.isfinite()).any(1).sum().item()
    return (
        f"{rows} of {len(logits)} warm-up samples give NaN or infinity from finite weights: is the input as in training"
        " (--mean, --std, --no-scale)?"
    )


def write_expected(folder, inputs, logits, labels, device, dtype="fp32"):
    scale = short_floats.scale_of(logits, dtype)
    relative = SCALED_TOLERANCE if device == "cpu" else GPU_TOLERANCE
    relative = relative if dtype == "fp32" else short_floats.TOLERANCE
    absolute = round_up(relative * scale)
    samples = []
    for (name, _, lossy), row in zip(inputs, logits):
        sample = {"file": name, "logits": row.tolist()}
        allowed = round_up(max(relative, LOSSY_TOLERANCE) * scale) if lossy else absolute
        if lossy:
            sample["tolerance"] = {"absolute": allowed, "relative": relative}
        pair = torch.cat([torch.zeros(1), row]) if len(row) == 1 else row
        first, second = pair.topk(2).values.tolist()
        if first - second > 4 * (allowed + relative * abs(first)):
            sample["top_classes"] = [labels[pair.argmax()]]
        samples.append(sample)
    (folder / "expected.json").write_text(directory.expected_json(samples, absolute, relative), encoding="utf-8")


def round_up(value):
    digit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / digit) * digit:.3g}")
