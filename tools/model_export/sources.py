"""Where the model comes from: torchvision, or a Python file of the user's."""

import dataclasses
import difflib
import functools
import importlib
import pathlib
import pickle
import sys
import warnings
import zipfile

import torch

from model_export import ExportError, directory, failing_as
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
    with failing_as(f"{args.torchvision or args.module} cannot be run in float32, on the CPU, in eval mode"):
        source.model.to("cpu")
        source.model._apply(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)  # complex stays so
        source.model.eval()
        for parameter in source.model.parameters():
            parameter.requires_grad = False
    return source


def unwrapped(model):
    """The model itself, of what trains it on several GPUs or compiles it."""
    while isinstance(model, (torch.nn.DataParallel, torch._dynamo.OptimizedModule)):
        model = model.module if isinstance(model, torch.nn.DataParallel) else model._orig_mod
    return model


def load_state_dict(model, path):
    state = read_state_dict(pathlib.Path(path))
    with failing_as(f"{path} does not fit the model"):
        keys = model.load_state_dict(state, strict=False)
    misfits = [f"it lacks {some(keys.missing_keys)}"] if keys.missing_keys else []
    if keys.unexpected_keys:
        hint = advice(keys.unexpected_keys, keys.missing_keys)
        misfits.append(f"it has {some(keys.unexpected_keys)}, which the model has not{hint}")
    if misfits:
        raise ExportError(f"{path} does not fit the model: {'; '.join(misfits)}")


def read_state_dict(path):
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind: in a file that is no pickle, each byte is taken for an instruction
        raise ExportError(
            f"{path} is not what torch.save(model.state_dict(), FILE) writes: {what_it_is(path, start, error)}"
        ) from error
    if not isinstance(state, dict):
        raise ExportError(
            f"{path} is not a state_dict of tensors but holds a {type(state).__name__}; save model.state_dict() alone"
        )
    others = {str(key): value for key, value in state.items() if not isinstance(value, torch.Tensor)}
    if others:
        kinds = [f"{key} ({type(value).__name__})" for key, value in others.items()]
        raise ExportError(
            f"{path} is not a state_dict of tensors alone but holds {some(kinds)}: {how_to_take_it_out(path, others)}"
        )
    return {str(key): value for key, value in state.items()}


def how_to_take_it_out(path, others):
    """Of a checkpoint with more in it: the state_dict, where there is one."""
    inner = [key for key, value in others.items() if isinstance(value, dict) and is_state_dict(value)]
    if len(inner) != 1:
        return "save model.state_dict() alone"
    return f"torch.save(torch.load({str(path)!r}, weights_only=True)[{inner[0]!r}], FILE) takes the state_dict out"


def is_state_dict(value):
    return bool(value) and all(isinstance(tensor, torch.Tensor) for tensor in value.values())


def what_it_is(path, start, error):
    if not start:
        return "it is empty"
    if zipfile.is_zipfile(path):
        if any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()):
            return "it is TorchScript; save the state_dict of the module that it was made of"
        if isinstance(error, pickle.UnpicklingError):
            return (
                "it holds more than tensors, such as a whole model, which could run any code when loaded; save"
                " model.state_dict() alone"
            )
    if start == b"PK\3\4":
        return "it is damaged or cut short; copy or save it again"
    return "it is another kind of file"


def some(keys):
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def advice(keys, missing):
    """What to save instead, where all keys of a state_dict have a prefix."""
    for prefix, wrapper in (("module.", "DataParallel"), ("_orig_mod.", "torch.compile")):
        if all(key.startswith(prefix) for key in keys):
            return f": {wrapper} wrapped the model; save model.{prefix}state_dict()"
    first = keys[0].partition(".")[0] + "."
    if missing and {key.removeprefix(first) for key in keys} >= set(missing):
        return f": the model is {first[:-1]!r} in the one that was saved; save model.{first}state_dict()"
    return ""


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
    try:
        return directory.check_labels(weights.meta["categories"], f"the categories of {weights}")
    except ExportError as error:
        raise ExportError(f"{error}; give other labels with --labels FILE") from None


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
    if not by_name and args.weights != WEIGHTS_NONE and not pathlib.Path(args.weights).exists():
        raise ExportError(f"--weights is {', '.join(members)}, none or a file; there is no {args.weights}")
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

    with failing_as(f"cannot download {weights.url}", "fetch it elsewhere and give the file to --weights"):
        return torchvision.models.get_model(name, weights=weights)


def from_module(args):
    module_name, factory_name = args.module.split(":")
    folder = args.python_path.absolute()
    sys.path.insert(0, str(folder))
    with failing_as(f"cannot import {module_name} from {folder}"):
        module = importlib.import_module(module_name)
    if not hasattr(module, factory_name):
        near = difflib.get_close_matches(factory_name, vars(module), 3)
        where = getattr(module, "__file__", None) or "built into Python"
        raise ExportError(
            f"{module_name} ({where}) has no {factory_name}" + (f"; it has {', '.join(near)}" if near else "")
        )
    model = getattr(module, factory_name)
    if not isinstance(model, torch.nn.Module):
        with failing_as(
            f"{args.module}, called without arguments, makes no model",
            "name a function that makes it, with the arguments that it needs",
        ):
            model = model()
    if not isinstance(model, torch.nn.Module):
        raise ExportError(f"{args.module} must make a torch.nn.Module; made a {type(model).__name__}")
    model = unwrapped(model)
    if isinstance(model, torch.jit.ScriptModule) and args.format != "torchscript":
        raise ExportError(
            f"{args.module} is TorchScript: give --format torchscript, or name the torch.nn.Module that it was made of"
        )
    if args.state_dict:
        load_state_dict(model, args.state_dict)
    return Source(model, directory.read_labels(args.labels), None)
