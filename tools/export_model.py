#!/usr/bin/env python3
"""A PyTorch classifier as a directory that calserve-server serves: see --help, and docs/models-from-pytorch.md.

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

from model_export import ExportError, arguments, directory

DONE, REFUSED, USAGE = range(3)


def export(args):
    from model_export import packages, samples, sources, verify

    source = sources.load(args)
    labels, model = source.labels, source.model
    preset = None if arguments.replaces_preset(args) else source.preset
    model_input = arguments.resolve_input(args, preset)
    task = arguments.resolve_task(args, labels)
    compiled = args.format == "aotinductor"
    yaml = directory.model_yaml(task, model_input, args.max_batch_size, args.device if compiled else "auto", compiled)
    directory.check_target(args.output, args.model_version, yaml, labels, compiled)

    is_new = not args.output.exists()
    with directory.staged(args.output if is_new else args.output / str(args.model_version)) as staged:
        version = staged / str(args.model_version) if is_new else staged
        if is_new:
            (staged / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
            (staged / "model.yaml").write_text(yaml, encoding="utf-8")
        (version / "warmup").mkdir(parents=True)
        inputs = samples.make_inputs(args, model_input, preset, version / "warmup")
        logits = samples.reference_logits(model, inputs, labels)
        samples.write_expected(version / "warmup", inputs, logits, labels, args.device)

        path = version / ("model.pt2" if compiled else "model.pt")
        say(f"{type(model).__name__}: {sum(p.numel() for p in model.parameters())} parameters, {len(labels)} labels; writing {path.name}")
        on_device = model if args.device == "cpu" else copy.deepcopy(model).to(args.device)
        try:
            if compiled:
                packages.compile_package(on_device, path, model_input.shape, args.max_batch_size, portable=args.isa == "portable")
            else:
                packages.save_torchscript(on_device, path, model_input.shape)
        except ExportError:
            raise
        except Exception as error:
            raise ExportError(f"torch cannot export this model as {args.format}: {error}") from error
        tensors = [tensor for _, tensor, _ in inputs]
        worst = verify.verify(path, model, tensors, args.max_batch_size, args.device)
        say(
            f"loaded again: batches of {', '.join(map(str, verify.batch_sizes(args.max_batch_size)))} differ from PyTorch"
            f" by at most {worst:.2g}, logits reach {logits.abs().max().item():.3g}"
        )
    say(f"{args.output}: version {args.model_version} is ready, with {len(inputs)} warm-up samples")


def say(text):
    print(text, flush=True)


def main(argv=None):
    parser = arguments.parser()
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that staged() cleans up
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
    return DONE


if __name__ == "__main__":
    sys.exit(main())
