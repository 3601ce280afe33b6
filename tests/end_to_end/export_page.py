"""docs/models-from-pytorch.md as its reader follows it, for export_test.py."""

import collections
import pathlib
import re
import shlex

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "models-from-pytorch.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)

TOOL = ".venv/bin/python tools/export_model.py"
SERVER = "build/release/server/calserve-server"
COMMAND = "build/release/client/calserve"

# Commands, and first lines of blocks of Python. What is not here is run.
NOT_RUN = {
    "python3 -m venv .venv": "the environment is the one that runs the test",
    ".venv/bin/pip install -r tools/requirements.txt": "installed there, as scripts/full_test.sh does it",
    "import timm, torch, transformers": "neither is in tools/requirements.txt, and both download their weights",
}
SEED = 7  # of the weights whose predictions the page shows

# language: what the fence names, or "". above: the paragraph. is_output: it follows another block at once, and so shows what
# that one prints.
Block = collections.namedtuple("Block", "language code above is_output")


def text(page=PAGE):
    return page.read_text(encoding="utf-8")


def blocks(page=PAGE):
    whole, result, end = text(page), [], None
    for fence in FENCE.finditer(whole):
        above = whole[: fence.start()].rstrip().rpartition("\n\n")[2]
        result.append(Block(*fence.groups(), above, fence.start() == end))
        end = fence.end()
    if whole.count("```") + whole.count("~~~") != 2 * len(result) or re.search(r"\n\n( {4}|\t)", prose(page)):
        raise AssertionError(f"{page} has code that is not between ``` and ```, each alone on its line")
    return result


def prose(page=PAGE):
    return FENCE.sub("", text(page))


def inline_code():
    return re.findall(r"`([^`]+)`", prose())


def flags(code):
    return set(re.findall(r"(?<![\w-])--\w[\w-]*", code))


def commands(block):
    """A line each, without the ends of lines that were continued."""
    return [line for line in re.sub(r"\s*\\\n\s*", " ", block.code).splitlines() if line.strip()]


def file_of(block):
    """What the paragraph above says that the code is in: a line of it starts with the file's name."""
    name = re.search(r"^`([\w.]+)` ", block.above, re.MULTILINE)
    return name and name[1]


class Reader:
    """Follows the page from top to bottom in the current directory, which has the files that it speaks of.

    tool and command run export_model.py and calserve with arguments, and return what they print; serve starts
    calserve-server, with none as it was. Raises AssertionError where the page has what this cannot follow.
    """

    def __init__(self, tool, command, serve):
        self.programs = {TOOL: tool, COMMAND: command, SERVER: serve}
        self.serve = serve
        self.left_out = []  # of NOT_RUN
        self.exports = []  # arguments of the tool
        self.shown = []  # what the page shows, and what there is

    def follow(self):
        printed = None
        for block in blocks():
            if block.is_output and printed is not None:
                self.shown.append((block.code, printed))
                printed = None
            else:
                printed = self.do(block)

    def do(self, block):
        """What the block's commands print; None where it has none."""
        if not block.language:
            if "With the server started again" in block.above:
                self.serve()
            return "".join(map(self.run, commands(block)))
        first_line, file = block.code.partition("\n")[0], file_of(block)
        if block.language == "python" and first_line in NOT_RUN:
            self.left_out.append(first_line)
            compile(block.code, PAGE, "exec")
        elif block.language == "python" and file:
            pathlib.Path(file).write_text(block.code, encoding="utf-8")
            self.train(block)
        elif block.language == "yaml" and file:
            exported = pathlib.Path(self.exports[-1][self.exports[-1].index("--output") + 1])
            self.shown.append((block.code, (exported / file).read_text(encoding="utf-8")))
        else:
            raise AssertionError(f"run this, or name it in NOT_RUN:\n{block}")
        return None

    @staticmethod
    def train(block):
        """No more than what the page has after the training."""
        exec(block.code, names := {})
        names["torch"].manual_seed(SEED)
        names["model"] = names["Net"]()
        save, = (code for code in inline_code() if code.startswith("torch.save("))
        exec(save, names)

    def run(self, command):
        if command in NOT_RUN:
            self.left_out.append(command)
            return ""
        if re.search(r"[|&;<>#$`*?]", command):
            raise AssertionError(f"there is no shell here: {command}")
        for program, run in self.programs.items():
            if command.startswith(f"{program} "):
                arguments = shlex.split(command.removeprefix(program))
                if program == TOOL and "--output" in arguments:
                    self.exports.append(arguments)
                return run(*arguments) or ""
        raise AssertionError(f"run this, or name it in NOT_RUN:\n{command}")
