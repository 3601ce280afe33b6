"""The command line of export_model.py, checked as far as it can be without torch."""

import argparse
import pathlib
import re

from model_export import ExportError, image_input

DESCRIPTION = """\
Makes a directory that calserve-server serves out of a PyTorch classifier: the compiled model, labels.txt, model.yaml and
warm-up samples with the logits that Python gave, which the server compares before it serves the version."""

EPILOG = """\
examples:
  # A torchvision model; its labels and its preprocessing come with its weights.
  export_model.py --torchvision resnet18 --weights resnet18-f37072fd.pth --output models/resnet18

  # Your own: model.py has `class Net(torch.nn.Module)`, or a function that makes one; train.py saved its state_dict().
  export_model.py --module model:Net --state-dict net.pth --labels labels.txt \\
      --input-size 64 64 --resize 64 64 --mean 0.5 0.5 0.5 --std 0.25 0.25 0.25 --output models/net

  # A second version beside the first; model.yaml and labels.txt stay as they are.
  export_model.py ... --output models/net --model-version 2

The model must give N x K logits for an N x C x H x W float32 input (no softmax), or N x 1 for two labels: the logit of
the second label. It is run in eval mode.

exit status: 0 exported and verified; 1 it cannot be done, and nothing was written; 2 wrong usage.
"""

WEIGHTS_NONE = "none"
MAX_BATCH_SIZE = 65536
MAX_INT64 = 2**63 - 1
# What model.yaml may say that torchvision's weights say as well: the flag wins.
IMAGE_FLAGS = ("size", "resize", "crop", "interpolation", "color", "transform", "no_scale", "mean", "std")


def parser():
    result = argparse.ArgumentParser(
        prog="export_model.py", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    model = result.add_argument_group("the model")
    source = model.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--torchvision", metavar="NAME", help="a classification model of torchvision: resnet18, vit_b_16, ..."
    )
    source.add_argument(
        "--module",
        metavar="MODULE:FACTORY",
        help="package.module:name of a torch.nn.Module, or of what makes one if called without arguments",
    )
    model.add_argument(
        "--python-path",
        type=pathlib.Path,
        default=pathlib.Path(),
        metavar="DIR",
        help="where --module is looked for first (default: here)",
    )
    model.add_argument(
        "--state-dict",
        type=pathlib.Path,
        metavar="FILE",
        help="for --module: what torch.save(model.state_dict(), FILE) wrote",
    )
    model.add_argument(
        "--weights",
        metavar="DEFAULT|NAME|none|FILE",
        help="for --torchvision: DEFAULT or a name such as IMAGENET1K_V1 (downloaded), none (random, by --seed), or a"
        " state_dict (default: DEFAULT)",
    )
    model.add_argument(
        "--preset",
        metavar="NAME",
        help="for --torchvision: whose labels and preprocessing, of NAME_Weights, to take with --weights none or FILE:"
        " IMAGENET1K_V1, ... (default: DEFAULT); the wrong one costs accuracy silently",
    )
    model.add_argument("--seed", type=int, default=1, help="of random weights and of the warm-up inputs (default: 1)")
    model.add_argument(
        "--labels",
        type=pathlib.Path,
        metavar="FILE",
        help="one class name a line, in the order of the outputs (needed for --module)",
    )
    model.add_argument("--task", choices=("multiclass", "binary"), help="default: binary for two labels, else multiclass")

    image = result.add_argument_group(
        "its input",
        "What the server does to a client's image (docs/configuration.md, model.yaml). --torchvision takes it"
        " from the weights; a flag wins. --module needs --input-size or --input-shape.",
    )
    image.add_argument(
        "--input-size",
        dest="size",
        type=int,
        nargs="+",
        metavar=("HEIGHT", "WIDTH"),
        help="the model takes images of this size",
    )
    image.add_argument(
        "--input-shape",
        type=int,
        nargs="+",
        metavar="D",
        help="the model takes tensors of this shape, batch dimension left out; no images",
    )
    image.add_argument(
        "--resize",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="one number: the shorter edge; two: exactly height and width (default: to the input's size)",
    )
    image.add_argument("--crop", choices=image_input.CROPS, help="after resizing (default: center)")
    image.add_argument("--interpolation", choices=image_input.INTERPOLATIONS, help="default: bilinear")
    image.add_argument("--color", choices=image_input.COLORS, help="the channels, in the model's order (default: rgb)")
    image.add_argument(
        "--transform", choices=image_input.TRANSFORMS, help="whose arithmetic resized in training (default: torchvision)"
    )
    image.add_argument("--mean", type=float, nargs="+", metavar="M", help="a number a channel, of pixel / 255 (default: 0)")
    image.add_argument("--std", type=float, nargs="+", metavar="S", help="a number a channel (default: 1)")
    image.add_argument(
        "--no-scale", action="store_true", default=None, help="pixels stay 0 to 255; mean and std are of those"
    )

    output = result.add_argument_group("what is written")
    output.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        metavar="DIR",
        help="the model's directory; its last part is the model's name",
    )
    output.add_argument("--model-version", type=int, default=1, metavar="N", help="folder of the version (default: 1)")
    output.add_argument(
        "--format",
        choices=("aotinductor", "torchscript"),
        default="aotinductor",
        help="model.pt2, or model.pt (default: aotinductor)",
    )
    output.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N: where a .pt2 will run (default: cpu)")
    output.add_argument(
        "--isa",
        choices=("portable", "native"),
        default="portable",
        help="a .pt2 for every x86-64-v3 (AVX2) processor, or for ones like this machine's (default: portable)",
    )
    output.add_argument(
        "--dtype",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="what a .pt2 computes in; inputs and logits stay float32 (default: fp32)",
    )
    output.add_argument(
        "--max-batch-size",
        type=int,
        default=32,
        metavar="ROWS",
        help="a .pt2 is compiled for batches of 1 to this (default: 32)",
    )
    output.add_argument(
        "--samples", type=int, default=4, metavar="N", help="warm-up samples made up from the seed (default: 4)"
    )
    output.add_argument(
        "--sample-image",
        type=pathlib.Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a real JPEG, PNG or WebP image as one more warm-up sample; may be given again",
    )
    return result


def check(args):
    """What argparse does not know. Raises ExportError."""
    if args.torchvision:
        if args.state_dict:
            raise ExportError("--state-dict is for --module; --torchvision takes --weights FILE")
        args.weights = args.weights or "DEFAULT"
    else:
        if args.weights or args.preset:
            raise ExportError("--weights and --preset are for --torchvision; --module takes --state-dict FILE")
        if not re.fullmatch(r"\w+(\.\w+)*:\w+", args.module):
            raise ExportError(f"--module is MODULE:FACTORY, such as model:Net; was {args.module}")
        if not args.labels:
            raise ExportError("--module needs --labels FILE: a module does not say what its outputs are called")
        if not args.size and not args.input_shape:
            raise ExportError("--module needs --input-size HEIGHT WIDTH, or --input-shape for a model without images")
    if args.input_shape and (set_flags := [name for name in IMAGE_FLAGS if getattr(args, name) is not None]):
        raise ExportError(f"--input-shape is for a model without images, which has no {', '.join(set_flags)}")
    if not -MAX_INT64 <= args.seed <= MAX_INT64:
        raise ExportError(f"--seed is from {-MAX_INT64} to {MAX_INT64}; was {args.seed}")
    if args.input_shape and args.sample_image:
        raise ExportError("--input-shape is for a model without images, which has no --sample-image")
    _check_output(args)


def _check_output(args):
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", args.output.name):
        raise ExportError(f"--output ends in the model's name: letters, digits, '_', '-' and '.'; was {args.output.name!r}")
    if not 1 <= args.model_version <= MAX_INT64:
        raise ExportError(f"--model-version is a whole number from 1 to {MAX_INT64}; was {args.model_version}")
    if not 1 <= args.max_batch_size <= MAX_BATCH_SIZE:
        raise ExportError(f"--max-batch-size is from 1 to {MAX_BATCH_SIZE}; was {args.max_batch_size}")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", args.device):
        raise ExportError(f"--device is cpu, cuda or cuda:N; was {args.device}")
    if args.dtype != "fp32" and args.format == "torchscript":
        raise ExportError(f"--dtype is for a .pt2; model.yaml says what a .pt computes in: dtype: {args.dtype}")
    if args.samples < 0 or not 1 <= args.samples + len(args.sample_image) <= 256:
        raise ExportError(f"a version has 1 to 256 warm-up samples; was {args.samples} and {len(args.sample_image)} images")


def replaces_preset(args):
    """Whether the flags alone say what the model's input is, so that the weights' transforms need not be understood."""
    return bool(args.input_shape or (args.size and args.resize and args.mean and args.std))


def resolve_input(args, preset=None):
    """The model's input: what the weights' transforms (None: nothing) say, with the flags on top."""
    if args.input_shape:
        return image_input.TensorInput(shape=tuple(args.input_shape))
    values = {} if preset is None else vars(image_input.from_preset(preset)).copy()
    for key in IMAGE_FLAGS:
        if (value := getattr(args, key)) is None:
            continue
        if key == "no_scale":
            values["scale"] = False
        elif key == "size":
            height, width = image_input.sides(value)
            values[key] = (height, width or height)
        elif key == "resize":
            height, width = image_input.sides(value)
            values[key] = (height, width) if width else height
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return image_input.ImageInput(**values)


def resolve_task(args, labels):
    task = args.task or ("binary" if len(labels) == 2 else "multiclass")
    if task == "binary" and len(labels) != 2:
        raise ExportError(f"--task binary has two labels; has {len(labels)}")
    return task
