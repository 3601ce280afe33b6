#!/usr/bin/env python3
"""A PyTorch classifier as a directory that calserve-server serves: see --help, and docs/models-from-pytorch.md.

From the top of this repository:
    python3 -m venv .venv && .venv/bin/pip install -r tools/requirements.txt
    .venv/bin/python tools/export_model.py --torchvision resnet18 --weights none --output models/resnet18
"""

import copy
import logging
import pathlib
import signal
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from model_export import ExportError, Terminated, arguments, cause, directory

DONE, REFUSED, USAGE = range(3)


def export(args):
    from model_export import packages, sources

    packages.check_device(args.device)
    source = sources.load(args)
    preset = None if arguments.replaces_preset(args) else source.preset
    model_input = arguments.resolve_input(args, preset)
    task = arguments.resolve_task(args, source.labels)
    compiled = args.format == "aotinductor"
    device = args.device if compiled else "auto"
    yaml = directory.model_yaml(task, model_input, args.max_batch_size, device, compiled)
    directory.check_target(args.output, args.model_version, yaml, source.labels, compiled)

    if args.output.exists():
        with directory.staged(args.output / str(args.model_version)) as version:
            write_version(args, version, source, model_input, preset)
    else:
        with directory.staged(args.output) as model:
            (model / "labels.txt").write_text("".join(f"{label}\n" for label in source.labels), encoding="utf-8")
            (model / "model.yaml").write_text(yaml, encoding="utf-8")
            write_version(args, model / str(args.model_version), source, model_input, preset)
    say(f"{args.output}: version {args.model_version} is ready")


def write_version(args, folder, source, model_input, preset):
    """The warm-up samples, which show early what cannot be served; then the model, loaded again and compared."""
    from model_export import samples, short_floats, verify

    warmup = folder / "warmup"
    warmup.mkdir(parents=True)
    inputs = samples.make_inputs(args, model_input, preset, warmup)
    logits = samples.reference_logits(source.model, inputs, source.labels)
    if doubt := samples.doubt(logits):
        say(f"note: {doubt}")
    model = short_floats.shorten(source.model, args.dtype)
    if args.dtype != "fp32":
        exact, logits = logits, short_floats.logits_of(model, inputs, args.dtype)
        say(f"{args.dtype} moves the samples' logits by {(logits - exact).abs().max():.3g}; they reach {exact.abs().max():.3g}")
    samples.write_expected(warmup, inputs, logits, source.labels, args.device, args.dtype)

    size = sum(parameter.numel() for parameter in model.parameters())
    say(f"{type(source.model).__name__}: {size} parameters, {len(source.labels)} labels, {len(inputs)} warm-up samples")
    path = folder / ("model.pt2" if args.format == "aotinductor" else "model.pt")
    write_model(args, path, model, model_input.shape)
    worst = verify.verify(path, model, [tensor for _, tensor, _ in inputs], args.max_batch_size, args.device, args.dtype)
    sizes = ", ".join(map(str, verify.batch_sizes(args.max_batch_size)))
    largest = logits.abs().max().item()
    say(f"{path.name} loaded again: batches of {sizes} differ from PyTorch by {worst:.1e}; logits reach {largest:.3g}")


def write_model(args, path, model, input_shape):
    from model_export import packages

    try:
        on_device = model if args.device == "cpu" else copy.deepcopy(model).to(args.device)
        if args.format == "aotinductor":
            packages.compile_package(on_device, path, input_shape, args.max_batch_size, portable=args.isa == "portable")
        else:
            packages.save_torchscript(on_device, path, input_shape)
    except ExportError:
        raise
    except Exception as error:  # torch.export raises many kinds
        advice = packages.advice(str(error), model) if args.format == "aotinductor" else ""
        raise ExportError(
            f"torch cannot export this model as {args.format}: {cause(error)}" + (f"; {advice}" if advice else "")
        ) from error


def say(text):
    print(text, flush=True)


def terminate(number, _):
    raise Terminated(128 + number)  # so that staged() cleans up


def main(argv=None):
    parser = arguments.parser()
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, terminate)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")  # TorchScript is deprecated upstream
    logging.getLogger("torch.export.pt2_archive").setLevel(logging.ERROR)  # "mismatch" of a portable ISA with this one
    try:
        arguments.check(args)
    except ExportError as error:
        print(f"export_model.py: {error}; --help says more", file=sys.stderr)
        return USAGE
    try:
        export(args)
    except ExportError as error:
        print(f"export_model.py: {error}", file=sys.stderr)
        return REFUSED
    except ModuleNotFoundError as error:
        print(f"export_model.py: {error}; install tools/requirements.txt into a virtual environment", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"export_model.py: cannot write {args.output}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return DONE


if __name__ == "__main__":
    sys.exit(main())
