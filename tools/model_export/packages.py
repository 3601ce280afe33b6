"""A PyTorch model as a file that calserve-server loads: an AOTInductor package, or TorchScript."""

import contextlib
import io
import json
import logging
import os
import pathlib
import shutil
import stat
import tempfile
import warnings
import zipfile
from unittest import mock

import torch
import torch._inductor

from model_export import ExportError

# The least that every x86-64 server of the last ten years has, which is also what the packages' metadata then say.
PORTABLE_ISA = {"cpp.march": "x86-64-v3", "cpp.simdlen": 256}
# Weights from LibTorch's allocator, as those of a TorchScript model: else what that holds back they cannot have.
SHARED_DEVICE_MEMORY = {"aot_inductor.weight_use_caching_allocator": True}
EXAMPLE_ROWS = 8  # neither 0 nor 1, which torch.export takes for constants


# What torch says, and what to do about it.
ADVICE = (
    ("data-dependent", "the model branches on a value in a tensor: use torch.where, or --format torchscript with a"
     " --module that makes torch.jit.script(model)"),
    ("specialized it to be a constant", "forward takes the number of rows for a constant: use x.shape[0] as it is, without"
     " int() and loops over rows"),
    ("cannot insert a Tensor that requires grad", "layers in a list are none of the model's: use torch.nn.ModuleList"),
    ("__obj_flatten__", "int8 models: --format torchscript"),
)


def advice(error, model):
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        return "a part of the model is TorchScript: --format torchscript"
    return next((advice for part, advice in ADVICE if part in error), "")


def check_device(device):
    """That the machine which exports has it, before anything is loaded."""
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ExportError(
            f"--device {device} needs an NVIDIA GPU with its driver in the machine that exports, and torch finds none:"
            " export where the GPU is, or with --device cpu"
        )
    index, count = int(device.partition(":")[2] or 0), torch.cuda.device_count()
    if index >= count:
        raise ExportError(f"--device {device} is not there: this machine has {count} GPUs, from cuda:0 to cuda:{count - 1}")


def device_of(model):
    return next(model.parameters(), torch.zeros(0)).device


def check_toolkit():
    """That AOTInductor finds CUDA's headers, which the wheels alone do not show it."""
    from torch.utils import cpp_extension

    if cpp_extension.CUDA_HOME is None:
        raise ExportError(
            "AOTInductor compiles for a GPU with CUDA's toolkit, which is not found: set CUDA_HOME to where it is (the"
            " wheels have one in site-packages/nvidia/cu13), or use --format torchscript"
        )


def portable_compiler(folder):
    """g++ for a library that is stripped, names no path of this machine (__FILE__ in torch's headers), and can be unloaded.

    With g++'s unique symbols the loader would keep the library of every version that was ever served.
    """
    compiler = folder / "g++"
    site_packages = pathlib.Path(torch.__file__).parents[1]
    flags = f"-s -fno-gnu-unique -ffile-prefix-map={site_packages}= -ffile-prefix-map={folder}="
    compiler.write_text(f'#!/bin/sh\nexec g++ {flags} "$@"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    return str(compiler)


def compile_package(model, path, input_shape, max_batch_size, name="model", portable=True, dynamic_threads=True):
    """An AOTInductor package for batches of 1 to max_batch_size, for the device that the model is on.

    input_shape is that of one input. portable: for every x86-64-v3 (AVX2) processor, else for this machine's.
    dynamic_threads=False builds this machine's OpenMP thread count in, and the server's is then ignored.
    """
    if not shutil.which("g++"):
        raise ExportError("AOTInductor compiles with g++, which is not there: install it, or use --format torchscript")
    device = device_of(model)
    if device.type == "cuda":
        check_toolkit()
    rows = min(EXAMPLE_ROWS, max_batch_size)
    dynamic = {0: torch.export.Dim("batch", min=1, max=max_batch_size)} if max_batch_size > 1 else None
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=scratch):
        example = torch.zeros(rows, *input_shape, device=device)
        with quiet():
            program = torch.export.export(OneInput(model), (example,), dynamic_shapes=(dynamic,))
        compiled = pathlib.Path(scratch) / "model.pt2"
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(compiled),
            inductor_configs={
                "cpp.cxx": (None, portable_compiler(compiled.parent)),
                **(PORTABLE_ISA if portable else {}),
                **(SHARED_DEVICE_MEMORY if device.type == "cuda" else {}),
                "cpp.dynamic_threads": dynamic_threads,
                "aot_inductor.enable_line_tables": False,
                "aot_inductor.precompile_headers": False,
                "aot_inductor.model_name_for_generated_files": name,
            },
        )
        repack(compiled, path)


def repack(source, target, metadata=None, library=True):
    """Copies a package with changed metadata, and without what no loader needs.

    Left out are the generated sources, which quote this machine's compiler command, and the serialisation id, a hash
    that covers them. library=False empties the compiled library.
    """
    with zipfile.ZipFile(source) as package, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as repacked:
        for name in package.namelist():
            if name.endswith((".cpp", "/serialization_id")):
                continue
            content = package.read(name)
            if name.endswith(".so") and not library:
                content = b""
            elif name.endswith("_metadata.json"):
                content = json.dumps(json.loads(content) | (metadata or {}), sort_keys=True).encode()
            repacked.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


@contextlib.contextmanager
def quiet():
    """Around torch.export, which shows the whole graph where it gives up; the error says why."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class OneInput(torch.nn.Module):
    """A model whose forward may take more than the input, such as *args, as one that takes the input alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


def save_torchscript(model, path, input_shape):
    """TorchScript as it is, or a trace; without the debug records, which name files of this machine."""
    model.eval()
    traced = model if isinstance(model, torch.jit.ScriptModule) else trace(model, input_shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".with_debug")
    traced.save(str(whole))
    reader = torch._C.PyTorchFileReader(str(whole))
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in ("version", "byteorder", ".data/serialization_id"):
            content = reader.get_record(name)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    whole.unlink()


def trace(model, input_shape):
    """With a batch of any size. A trace keeps what one input does, which check_no_branch must find to be all there is."""
    example = torch.zeros(2, *input_shape, device=device_of(model))
    for module in model.modules():
        if hasattr(module, "_jit_is_scripting"):
            module._jit_is_scripting = True  # a LightningModule's: it asks for its trainer otherwise
    followed = check_no_branch(model, example)
    # TF32 would be written into each convolution.
    with torch.backends.cudnn.flags(allow_tf32=False), warnings.catch_warnings():
        if followed:
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of shapes, as where a transformer checks them
        return torch.jit.trace(model, example)


def check_no_branch(model, example):
    """Refuses a model that branches on a value in a tensor. False where torch.export cannot tell."""
    try:
        with quiet():
            torch.export.export(OneInput(model), (example,))
    except Exception as error:  # torch.export raises many kinds, most for what a trace can do
        if "data-dependent" in str(error):
            raise ExportError(
                "the model branches on a value in a tensor, and a trace would keep the branch of one input for all: use"
                " torch.where, or let --module make torch.jit.script(model)"
            ) from error
        return False
    return True
