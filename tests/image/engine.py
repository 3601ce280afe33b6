"""A container engine for tests: one that answers, else one that is started for them; and the image under test."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/container_engine.sh"
IMAGE = "calserve-test:cpu"
SKIPPED = 77
WAIT_S = 60  # for what takes seconds on an idle machine
# As docs/images.md says to run it.
HARDENED = ("--read-only", "--tmpfs", "/tmp:exec,mode=1777,size=256m", "--cap-drop", "ALL", "--security-opt",
            "no-new-privileges", "--memory", "1g", "--pids-limit", "256")


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(SKIPPED)


def run(*command, check=True, **options):
    """Both streams as text; with `check` a failure is shown and raised."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{command} exits with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def clients():
    for folder in os.environ["PATH"].split(os.pathsep):
        if os.access(pathlib.Path(folder) / "docker", os.X_OK):
            yield str(pathlib.Path(folder) / "docker")


def builds_with_buildkit(client):
    """From version 23 on a client needs the buildx plugin for it; before, an environment variable."""
    version = run(client, "version", "--format", "{{.Client.Version}}", check=False).stdout
    return int(version.split(".")[0] or 0) < 23 or run(client, "buildx", "version", check=False).returncode == 0


def find():
    """The client to use, with an engine behind it; ends the test as skipped where none can be had."""
    if not (client := next(filter(builds_with_buildkit, clients()), None)):
        skip("no docker client that can build with BuildKit; scripts/bootstrap.sh --images installs one")
    if run(client, "version", check=False).returncode != 0:
        started = run(SCRIPT, "start", check=False)
        if started.returncode != 0:
            skip(f"no container engine answers, and none could be started: {started.stderr.strip()}")
        atexit.register(run, SCRIPT, "stop", check=False)
    made = run(SCRIPT, "base", check=False)
    if made.returncode != 0:
        skip(f"the base image cannot be had: {made.stderr.strip()}")
    return client


class Engine:
    """The verbs of the tests. What they start is removed at the end."""

    def __init__(self):
        self.client = find()

    def __call__(self, *words, **options):
        return run(self.client, *words, **options)

    def build(self, tag, *words):
        """What a build prints goes to the test's output: the first one takes long. CALSERVE_IMAGE_BUILD_ARGS has more
        build arguments, such as "JOBS=1 PACKAGES=newest"."""
        arguments = [word for pair in os.environ.get("CALSERVE_IMAGE_BUILD_ARGS", "").split()
                     for word in ("--build-arg", pair)]
        command = [self.client, "build", "--network", "host", "--progress", "plain", "--tag", tag, *arguments, *words]
        built = subprocess.run([str(word) for word in command], env={**os.environ, "DOCKER_BUILDKIT": "1"},
                               check=False)
        if built.returncode != 0:
            raise RuntimeError(f"the build of {tag} exits with {built.returncode}")

    def build_image(self):
        self.build(IMAGE, "--file", ROOT / "docker/Dockerfile", "--target", "cpu", ROOT)

    def knows(self, option):
        """Whether the image's server has this option."""
        return f"--{option}" in self("run", "--rm", IMAGE, "--help").stdout

    def plain_text(self):
        """What says that plain text beyond loopback is meant, for servers that ask for it."""
        return ("--env", "CALSERVE_INSECURE=true") if self.knows("insecure") else ()

    def inspect(self, name):
        return json.loads(self("inspect", name).stdout)[0]

    def start(self, *words, models=ROOT / "examples/fashion_mnist/models", plain_text=True):
        """A hardened container of the image, by its id."""
        return self("run", "--detach", *HARDENED, *(self.plain_text() if plain_text else ()), "--volume", f"{models}:/models:ro", "--publish",
                    "127.0.0.1::8500", "--publish", "127.0.0.1::8501", *words, IMAGE).stdout.strip()

    def address(self, name, port=8500):
        return self("port", name, port).stdout.splitlines()[0]

    def log(self, name):
        done = self("logs", name)
        return done.stdout + done.stderr

    def wait_until_healthy(self, name):
        deadline = time.monotonic() + WAIT_S
        while (state := self.inspect(name)["State"])["Health"]["Status"] != "healthy":
            if not state["Running"] or time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not healthy: {state}\n{self.log(name)}")
            time.sleep(0.2)

    def files(self, image, directory):
        """Unpacks the files of an image."""
        name = self("create", image).stdout.strip()
        archive = pathlib.Path(directory) / "image.tar"
        self("export", "--output", archive, name)
        self("rm", name)
        run("tar", "--extract", "--no-same-owner", "--file", archive, "--directory", directory)
        archive.unlink()


def compose_program():
    return shutil.which("docker-compose") or skip("no docker-compose; scripts/bootstrap.sh --images installs it")
