"""Where the model comes from: torchvision, or a Python file of the user's."""

import dataclasses
import difflib
import functools
import importlib
import pickle
import sys

import torch

from model_export import ExportError, directory
from model_export.arguments import WEIGHTS_NONE

# They reorder their input's normalisation by an argument that only their weights' enum sets.
INPUT_CHANGED_BY_WEIGHTS = ("googlenet", "inception_v3")


@dataclasses.dataclass
class Source:
    model: torch.nn.Module  # in eval mode, on the CPU, in float32
    labels: list
    preset: object  # torchvision's transforms, or None


def load(args):
    torch.manual_seed(args.seed)
    source = from_torchvision(args) if args.torchvision else from_module(args)
    source.model = source.model.to("cpu", torch.float32).eval()
    source.model.requires_grad_(False)
    return source


def load_state_dict(model, path):
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ExportError(
            f"{path} is not what torch.save(model.state_dict(), FILE) writes: {str(error).splitlines()[0]}"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        keys = list(state)[:8] if isinstance(state, dict) else type(state).__name__
        raise ExportError(f"{path} is not a state_dict of tensors but holds {keys}; save model.state_dict() alone")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ExportError(f"{path} does not fit the model: {error}") from None


def weights_enum(name, wanted):
    import torchvision

    enum = torchvision.models.get_model_weights(name)
    if wanted == "DEFAULT":
        return enum.DEFAULT
    if wanted not in enum.__members__:
        raise ExportError(f"{name} has no weights {wanted}; it has {', '.join(enum.__members__)}")
    return enum[wanted]


def categories(weights):
    if not weights.meta.get("categories"):
        raise ExportError(f"{weights} have no categories: give --labels FILE")
    return directory.check_labels(weights.meta["categories"], f"the categories of {weights}")


def from_torchvision(args):
    import torchvision

    name = args.torchvision
    names = torchvision.models.list_models(module=torchvision.models)  # classification; others are in its submodules
    if name not in names:
        near = difflib.get_close_matches(name, names, 3)
        raise ExportError(
            f"torchvision has no classification model {name}" + (f"; it has {', '.join(near)}" if near else "")
        )
    members = torchvision.models.get_model_weights(name).__members__
    by_name = args.weights == "DEFAULT" or args.weights in members
    if by_name and args.preset:
        raise ExportError("--preset goes with --weights none or FILE: named weights bring their own")
    preset = weights_enum(name, args.weights if by_name else args.preset or "DEFAULT")
    labels = directory.read_labels(args.labels) if args.labels else categories(preset)
    if by_name:
        model = pretrained(name, preset)
    elif args.weights == WEIGHTS_NONE:
        model = torchvision.models.get_model(name, weights=None, num_classes=len(labels))
    elif name in INPUT_CHANGED_BY_WEIGHTS:
        raise ExportError(
            f"{name} changes its input if told so by an argument that a file of weights does not record: write a function"
            " that makes it as it was trained, and give that to --module"
        )
    else:
        model = torchvision.models.get_model(name, weights=None, num_classes=len(labels))
        load_state_dict(model, args.weights)
    transforms = preset.transforms
    if isinstance(transforms, functools.partial):
        transforms = transforms()
    return Source(model, labels, transforms)


def pretrained(name, weights):
    import torchvision

    try:
        return torchvision.models.get_model(name, weights=weights)
    except OSError as error:
        raise ExportError(
            f"cannot download {weights.url}: {error}; fetch it elsewhere and give the file to --weights"
        ) from None


def from_module(args):
    module_name, factory_name = args.module.split(":")
    sys.path.insert(0, str(args.python_path.absolute()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ExportError(f"cannot import {module_name} from {args.python_path.absolute()}: {error}") from error
    if not hasattr(module, factory_name):
        near = difflib.get_close_matches(factory_name, vars(module), 3)
        raise ExportError(f"{module_name} has no {factory_name}" + (f"; it has {', '.join(near)}" if near else ""))
    model = getattr(module, factory_name)
    if not isinstance(model, torch.nn.Module):
        try:
            model = model()
        except TypeError as error:
            raise ExportError(
                f"{args.module} must be callable without arguments; write a function that is: {error}"
            ) from error
    if not isinstance(model, torch.nn.Module):
        raise ExportError(f"{args.module} must make a torch.nn.Module; made a {type(model).__name__}")
    if args.state_dict:
        load_state_dict(model, args.state_dict)
    return Source(model, directory.read_labels(args.labels), None)
