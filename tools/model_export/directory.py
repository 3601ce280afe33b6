"""The files of a model directory that are text, and the directory's appearing whole or not at all."""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile

from model_export import ExportError

# C0, DEL, C1, line and paragraph separators, the controls of writing direction: as text/characters.h.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def check_labels(labels, where):
    """The rules of server/config/labels.cc."""
    first = {}
    for line, label in enumerate(labels, 1):
        if not label or label != label.strip(" \t\n\v\f\r"):
            raise ExportError(f"{where}:{line}: a label is the name of one class without spaces around it; was {label!r}")
        if CONTROL.search(label):
            raise ExportError(f"{where}:{line}: a label has no control characters; was {label!r}")
        if first.setdefault(label, line) != line:
            raise ExportError(f"{where}:{line}: {label!r} is already on line {first[label]}")
    if len(labels) < 2:
        raise ExportError(f"{where} must have at least 2 labels; has {len(labels)}")
    return list(labels)


def read_text(path, what):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ExportError(f"cannot read {what} {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ExportError(
            f"cannot read {what} {path}: byte {error.start} is not UTF-8 ({error.reason}); save the file as UTF-8"
        ) from None


def read_labels(path):
    text = read_text(path, "the labels")
    return check_labels(text.removesuffix("\n").split("\n") if text else [], path)


def model_yaml(task, model_input, max_batch_size, device, compiled):
    """compiled: an AOTInductor package, made for one device and for batches up to max_batch_size."""
    lines = [f"task: {task}", "input:", *(f"  {line}" for line in model_input.yaml_lines())]
    limit = f"  # the package was compiled for 1 to {max_batch_size}" if compiled else ""
    lines.append(f"max_batch_size: {max_batch_size}{limit}")
    lines.append(f"device: {device}")
    return "\n".join(lines) + "\n"


def sections(text):
    """What decides how a model is run, of a model.yaml as model_yaml() writes it: {key: its lines without comments}."""
    found, key = {}, None
    for line in text.splitlines():
        line = line.split(" #")[0].rstrip()
        if not line or line.startswith("#"):
            continue
        if not line[0].isspace():
            key = line.split(":")[0]
        found.setdefault(key, []).append(line)
    return found


def check_target(output, version, yaml, labels, compiled=True):
    """Whether a version fits into a model that is already there; its model.yaml stays as it is."""
    if not output.exists():
        return
    if (output / str(version)).exists():
        raise ExportError(f"{output / str(version)} is already there; take another --model-version, or remove it")
    there, labels_there = output / "model.yaml", output / "labels.txt"
    if not there.is_file() or not labels_there.is_file():
        raise ExportError(f"{output} is there and is no model directory: it has no model.yaml or no labels.txt")
    if read_labels(labels_there) != labels:
        raise ExportError(
            f"{labels_there} has other labels, and all versions of a model share them: export under another name"
        )
    old, new = sections(read_text(there, "the model's settings")), sections(yaml)
    for key in ("task", "input", "device") if compiled else ("task", "input"):
        if old.get(key) != new[key]:
            raise ExportError(
                f"{there} has another {key}, and all versions of a model share it: export under another name\n"
                f"there: {' '.join(' '.join(old.get(key, ['nothing'])).split())}\n"
                f"here:  {' '.join(' '.join(new[key]).split())}"
            )
    if not compiled:
        return
    limit = int(new["max_batch_size"][0].split(":")[1])
    limit_there = old.get("max_batch_size", ["max_batch_size: 32"])[0].split(":")[1].strip()
    if not limit_there.isdigit() or int(limit_there) > limit:
        raise ExportError(
            f"{there} has max_batch_size {limit_there}: export with --max-batch-size {limit_there}; was {limit}"
        )


def expected_json(samples, absolute, relative=0.001):
    """samples: {"file", "logits", ...} each. A logit agrees within absolute + relative * |expected|."""
    lines = ",\n    ".join(json.dumps(sample, ensure_ascii=False, allow_nan=False) for sample in samples)
    tolerance = json.dumps({"absolute": absolute, "relative": relative})
    return f'{{\n  "format": 1,\n  "tolerance": {tolerance},\n  "samples": [\n    {lines}\n  ]\n}}\n'


@contextlib.contextmanager
def staged(target):
    """A folder beside target that becomes target when the block ends, and is removed where it raises.

    Its name begins with a dot, so that a server that watches the repository does not look at it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.exporting-", dir=target.parent))
    try:
        folder.chmod(0o755)
        yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
