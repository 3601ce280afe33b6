"""Builds the image, and runs it as an operator would who trusts nothing: the demo's client against it, and its end.

    image_test.py --command PROGRAM --demo PROGRAM [unittest's arguments]

Exits with 77 where no container engine can be had.
"""
import argparse
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import stat
import sys
import tempfile
import time
import unittest

import engine
from engine import IMAGE, ROOT, WAIT_S, run

MAX_IMAGE_BYTES = 600_000_000
UNREACHABLE = 3  # exit status of the command
OWNER = 65532
OPTIONS = argparse.Namespace()


class ImageTest(unittest.TestCase):
    def start(self, *words, **options):
        name = OPTIONS.engine.start(*words, **options)
        self.addCleanup(OPTIONS.engine, "rm", "--force", "--volumes", name)
        return name

    def healthy(self, *words, **options):
        name = self.start(*words, **options)
        OPTIONS.engine.wait_until_healthy(name)
        # The engine publishes a port a moment later than it has the container run.
        deadline = time.monotonic() + WAIT_S
        while self.calserve(name, "health", check=False).returncode != 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        return name

    def calserve(self, name, *words, **options):
        return run(OPTIONS.command, "--server", OPTIONS.engine.address(name), *words, **options)


class Contents(ImageTest):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="calserve-image-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        OPTIONS.engine.files(IMAGE, cls.root)
        cls.doc = cls.root / "usr/share/doc/calserve"

    def files(self):
        """Each file, with how it begins."""
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    yield path, file.read(4)

    def programs(self):
        """Each ELF file, by its name in the image."""
        return [("/" + str(path.relative_to(self.root)), path) for path, start in self.files()
                if start == b"\x7fELF"]

    def test_it_is_small_enough(self):
        for line in OPTIONS.engine("history", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE).stdout.splitlines():
            print(line[:100])
        size = OPTIONS.engine.inspect(IMAGE)["Size"]
        print(f"{size:,} bytes")
        self.assertLess(size, MAX_IMAGE_BYTES)

    def test_two_programs_are_all_that_can_be_run(self):
        self.assertEqual({path.name for path in (self.root / "usr/bin").iterdir()}, {"calserve", "calserve-server"})
        for folder in ("bin", "sbin", "usr/sbin", "usr/local", "opt", "root", "home", "var"):
            self.assertFalse((self.root / folder).exists(), folder)
        for name, _ in self.programs():
            self.assertRegex(name, r"^/usr/(bin/calserve(-server)?|lib/x86_64-linux-gnu/[^/]+\.so[^/]*)$")
        # Nothing is a script, and nothing gives rights to who runs it.
        for path, start in self.files():
            self.assertNotEqual(start[:2], b"#!", path)
            self.assertFalse(path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID), path)
        self.assertEqual(list(self.root.rglob("*.py")), [])

    def test_what_is_run_has_no_symbols_to_strip(self):
        for name, path in self.programs():
            if "/lib" in name and ("cudart" in name or "cupti" in name):
                continue  # NVIDIA's, as they come
            self.assertNotIn(".symtab", run("readelf", "--section-headers", "--wide", path).stdout, name)

    def test_the_list_of_parts_is_valid_and_has_every_program_with_its_digest(self):
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
        text = (self.doc / "sbom.cdx.json").read_text(encoding="utf-8")
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(text))
        digests = {part["name"]: part["hashes"][0]["content"] for part in json.loads(text)["components"]
                   if part["type"] == "file"}
        for name, path in self.programs():
            self.assertEqual(digests.get(name), hashlib.sha256(path.read_bytes()).hexdigest(), name)

    def test_every_part_has_its_licence(self):
        parts = [part for part in json.loads((self.doc / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
                 if part["type"] != "file"]
        names = {part["name"] for part in parts}
        self.assertLessEqual({"calserve", "torch", "libsqlite3-0"}, names)
        self.assertLessEqual({"libgrpc-dev", "libgrpc++-dev", "libprotobuf-dev", "libabsl-dev"}, names, "archives")
        rows = [row.split("\t") for row in (self.doc / "licences.tsv").read_text(encoding="utf-8").splitlines()[1:]]
        self.assertEqual([row[:2] for row in rows], [[part["name"], part["version"]] for part in parts])
        for name, _, licences, text in rows:
            self.assertTrue(licences, name)
            self.assertGreater((self.doc / text).stat().st_size, 100, name)

    def test_its_configuration_says_who_it_is_and_how_it_is_run(self):
        config = OPTIONS.engine.inspect(IMAGE)["Config"]
        self.assertEqual(config["User"], f"{OWNER}:{OWNER}")
        self.assertEqual(config["Entrypoint"], ["/usr/bin/calserve-server"])
        self.assertEqual(config["Healthcheck"]["Test"][:3], ["CMD", "/usr/bin/calserve", "health"])
        self.assertIn("CALSERVE_GRPC_LAME_DUCK=5s", config["Env"])
        self.assertEqual(config["Labels"]["org.opencontainers.image.title"], "calserve")
        for label in ("calserve.sbom", "calserve.licences"):
            self.assertTrue((self.root / config["Labels"][label].lstrip("/")).is_file(), label)


class Running(ImageTest):
    def test_the_demo_passes_against_it_and_the_labels_outlive_it(self):
        volume = OPTIONS.engine("volume", "create").stdout.strip()
        self.addCleanup(OPTIONS.engine, "volume", "rm", "--force", volume)
        name = self.healthy("--volume", f"{volume}:/data")
        with tempfile.TemporaryDirectory(prefix="calserve-image-test-") as scratch:
            demo = run(OPTIONS.demo, "--server", OPTIONS.engine.address(name), "--out", f"{scratch}/report.html")
        self.assertIn("NLL 0.", demo.stdout)
        self.assertEqual(OPTIONS.engine("diff", name).stdout, "")  # Not a file of the image has changed.
        OPTIONS.engine("rm", "--force", name)
        name = self.healthy("--volume", f"{volume}:/data")
        report = json.loads(self.calserve(name, "--json", "report", "--stored", "--calibrator-version", "0").stdout)
        self.assertEqual(report["served"]["n"], 5000)

    def test_it_has_no_rights(self):
        name = self.healthy()
        status = pathlib.Path(f"/proc/{OPTIONS.engine.inspect(name)['State']['Pid']}/status")
        fields = dict(line.split(":\t", 1) for line in status.read_text(encoding="utf-8").splitlines())
        self.assertEqual(set(fields["Uid"].split()), {str(OWNER)})
        self.assertEqual(set(fields["Gid"].split()), {str(OWNER)})
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[capabilities], 16), 0, capabilities)
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))

    def test_there_is_no_shell_to_be_had(self):
        name = self.healthy()
        for program in ("sh", "bash", "python3", "apt-get", "ls"):
            self.assertNotEqual(OPTIONS.engine("exec", name, program, check=False).returncode, 0, program)

    def test_it_loads_a_compiled_model_with_nothing_writable_but_a_tmpfs(self):
        with tempfile.TemporaryDirectory(prefix="calserve-image-test-") as models:
            shutil.copytree(ROOT / "tests/fixtures/models/fashion_mnist_pt2", f"{models}/fashion_mnist_pt2")
            pathlib.Path(models).chmod(0o755)
            name = self.healthy(models=models)
            self.assertIn('"format":"aotinductor"', OPTIONS.engine.log(name))

    def test_ticket_keys_may_be_a_mounted_secret(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a file of root's that a group may read")
        with tempfile.TemporaryDirectory(prefix="calserve-image-test-") as folder:
            keys = pathlib.Path(folder) / "ticket_keys"
            keys.write_text(f"{'0' * 15}1 {'ab' * 32} 2026-01-01T00:00:00Z\n", encoding="utf-8")
            os.chown(keys, 0, OWNER)
            keys.chmod(0o440)  # as Kubernetes mounts a secret for a pod with fsGroup
            self.healthy("--volume", f"{keys}:/secrets/ticket_keys:ro", "--env",
                         "CALSERVE_TICKETS_KEY_FILE=/secrets/ticket_keys")
            keys.chmod(0o444)
            name = self.start("--volume", f"{keys}:/secrets/ticket_keys:ro", "--env",
                              "CALSERVE_TICKETS_KEY_FILE=/secrets/ticket_keys")
            self.assertEqual(OPTIONS.engine("wait", name).stdout.strip(), "5")

    def test_sigterm_drains_it(self):
        name = self.healthy("--env", "CALSERVE_GRPC_LAME_DUCK=10s")
        OPTIONS.engine("kill", "--signal", "TERM", name)
        deadline = time.monotonic() + WAIT_S
        while self.calserve(name, "health", check=False).returncode == 0:
            self.assertLess(time.monotonic(), deadline)
        # Not serving for load balancers, and yet it answers who is still there.
        self.assertIn("fashion_mnist", self.calserve(name, "models").stdout)
        self.assertEqual(OPTIONS.engine("wait", name).stdout.strip(), "0")
        self.assertIn(signal.strsignal(signal.SIGTERM), OPTIONS.engine.log(name))

    def test_what_it_lacks_it_says(self):
        name = OPTIONS.engine("run", "--detach", *engine.HARDENED, *OPTIONS.engine.plain_text(), IMAGE).stdout.strip()
        self.addCleanup(OPTIONS.engine, "rm", "--force", "--volumes", name)
        self.assertEqual(OPTIONS.engine("wait", name).stdout.strip(), "3", OPTIONS.engine.log(name))
        self.assertIn("/models", OPTIONS.engine.log(name))

    def test_health_is_no_where_nothing_serves(self):
        asked = OPTIONS.engine("run", "--rm", "--entrypoint", "/usr/bin/calserve", IMAGE, "health", "--timeout", "1s",
                               check=False)
        self.assertEqual(asked.returncode, UNREACHABLE, asked.stderr)

    def test_plain_text_beyond_loopback_must_be_asked_for(self):
        if not OPTIONS.engine.knows("insecure"):
            self.skipTest("this server has no option insecure: it listens in plain text wherever it is told to")
        refused = OPTIONS.engine("run", "--rm", "--volume", f"{ROOT}/examples/fashion_mnist/models:/models:ro", IMAGE,
                                 check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("insecure", refused.stderr)


@unittest.skipUnless(os.geteuid() == 0, "only root can make files of root's that a group may read")
class Secured(ImageTest):
    """With TLS on both ports and tokens, as mounted secrets: files of root's that uid 65532's group may read."""

    def setUp(self):
        self.secrets = pathlib.Path(tempfile.mkdtemp(prefix="calserve-image-test-"))
        self.addCleanup(shutil.rmtree, self.secrets)
        self.certificate("server", "IP:127.0.0.1,DNS:localhost")
        lines = []
        for who, roles in (("demo", "predict,feedback,read,admin"), ("app", "predict"), ("prometheus", "read")):
            out = OPTIONS.engine("run", "--rm", IMAGE, "--new-token", f"{who}={roles}").stdout.splitlines()
            self.secret(f"{who}.token", out[1])
            lines.append(out[3])
        self.secret("tokens", "\n".join(lines))
        self.secrets.chmod(0o755)
        self.words = ["--volume", f"{self.secrets}:/secrets:ro"]
        self.set(CALSERVE_TLS_CERTIFICATE_FILE="server.pem", CALSERVE_TLS_KEY_FILE="server.key",
                 CALSERVE_ACCESS_TOKENS_FILE="tokens", CALSERVE_CA_FILE="server.pem")

    def set(self, **files):
        for variable, file in files.items():
            self.words += ["--env", f"{variable}=/secrets/{file}"]

    def secret(self, name, text=None):
        path = self.secrets / name
        if text is not None:
            path.write_text(text + "\n", encoding="utf-8")
        os.chown(path, 0, OWNER)
        path.chmod(0o440)

    def certificate(self, name, alternatives):
        """Its own authority."""
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternatives}", "-keyout", self.secrets / f"{name}.key",
            "-out", self.secrets / f"{name}.pem")
        self.secret(f"{name}.key")
        self.secret(f"{name}.pem")

    def started(self, *words):
        """Healthy by the image's own HEALTHCHECK, which has no token and trusts CALSERVE_CA_FILE."""
        name = self.start(*self.words, *words, plain_text=False)
        OPTIONS.engine.wait_until_healthy(name)
        return name

    def credentials(self, who):
        return ("--ca-file", self.secrets / "server.pem", "--token-file", self.secrets / f"{who}.token")

    def ask(self, name, path, who=None):
        """The status that the admin port answers."""
        context = ssl.create_default_context(cafile=self.secrets / "server.pem")
        host, port = OPTIONS.engine.address(name, 8501).split(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=WAIT_S, context=context)
        token = (self.secrets / f"{who}.token").read_text(encoding="utf-8").strip() if who else ""
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if who else {})
        status = connection.getresponse().status
        connection.close()
        return status

    def test_the_demo_passes_over_tls_with_a_token_and_not_without(self):
        name = self.started()
        demo = [OPTIONS.demo, "--server", OPTIONS.engine.address(name), "--out", self.secrets / "report.html"]
        for credentials in ((), self.credentials("demo")[:2], self.credentials("app")):
            self.assertNotEqual(run(*demo, *credentials, check=False).returncode, 0, credentials)
        self.assertIn("NLL 0.", run(*demo, *self.credentials("demo")).stdout)
        self.assertEqual(OPTIONS.engine("diff", name).stdout, "A /secrets\n")  # where they are mounted
        self.assertNotIn("insecure", OPTIONS.engine.log(name))
        # In plain text nobody answers.
        self.assertEqual(self.calserve(name, "health", "--timeout", "2s", check=False).returncode, UNREACHABLE)

    def test_probes_need_no_token_and_metrics_one_that_may_read(self):
        name = self.started()
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.ask(name, path), 200)
        self.assertEqual([self.ask(name, "/metrics", who) for who in (None, "app", "prometheus")], [401, 403, 200])

    def test_sigterm_drains_it(self):
        name = self.started("--env", "CALSERVE_GRPC_LAME_DUCK=10s")
        OPTIONS.engine("kill", "--signal", "TERM", name)
        deadline = time.monotonic() + WAIT_S
        while self.ask(name, "/readyz") == 200:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual((self.ask(name, "/readyz"), self.ask(name, "/healthz")), (503, 200))
        self.assertIn("fashion_mnist", self.calserve(name, "models", *self.credentials("app")).stdout)
        self.assertNotEqual(self.calserve(name, "health", *self.credentials("app"), check=False).returncode, 0)
        self.assertEqual(OPTIONS.engine("wait", name).stdout.strip(), "0")

    def test_its_healthcheck_shows_a_certificate_where_tls_is_mutual(self):
        self.certificate("client", "DNS:client.example")
        self.set(CALSERVE_TLS_CLIENT_CA_FILE="client.pem", CALSERVE_CERTIFICATE_FILE="client.pem",
                 CALSERVE_KEY_FILE="client.key")
        name = self.started()
        self.assertEqual(self.calserve(name, "health", "--timeout", "2s", *self.credentials("app"), check=False)
                         .returncode, UNREACHABLE)
        self.assertEqual(self.ask(name, "/readyz"), 200)


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    for option in ("--command", "--demo"):
        PARSER.add_argument(option, required=True)
    REST = PARSER.parse_known_args(namespace=OPTIONS)[1]
    OPTIONS.engine = engine.Engine()
    OPTIONS.engine.build_image()
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
