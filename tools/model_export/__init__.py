"""The parts of export_model.py. `arguments`, `image_input` and `directory` need no torch; the others do."""

import contextlib
import pathlib
import sysconfig
import traceback

LONGEST_CAUSE = 400  # characters
# Where the code is that a user did not write: this tool, Python, packages, and "<frozen importlib>".
NOT_THE_USERS = (
    str(pathlib.Path(__file__).resolve().parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    "<",
)


class ExportError(Exception):
    """What was asked for cannot be done; the message says the rule and what broke it."""


class Terminated(SystemExit):
    """By a signal, and not by code that calls sys.exit."""


def cause(error):
    """An exception in one line: its kind, its text, and the last line of the user's that it went through."""
    text = " ".join(str(error).split())
    if len(text) > LONGEST_CAUSE:
        text = text[:LONGEST_CAUSE] + "..."
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(NOT_THE_USERS)]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"


@contextlib.contextmanager
def failing_as(what, advice=""):
    """Around code that is not the tool's: whatever it raises becomes an ExportError of one line."""
    try:
        yield
    except (ExportError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        raise ExportError(f"{what}: {cause(error)}" + (f"; {advice}" if advice else "")) from error
