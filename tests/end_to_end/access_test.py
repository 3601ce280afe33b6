"""Who may do what on a live calserve-server: tokens, JWTs, certificates, limits and the audit log, with OpenSSL's
certificates and gRPC's own client.

    access_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import base64
import hashlib
import http.client
import json
import pathlib
import queue
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import command_test
import kserve_testing  # Before gRPC, whose environment it sets.

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from command_test import DONE, ENVIRONMENT, MODEL, OPTIONS, REFUSED, UNREACHABLE, USAGE, WAIT_S

ROLES = ("predict", "feedback", "read", "admin")
OPEN = {"ServerLive", "ServerReady"}
ANY_ROLE = {"ListModels", "GetModel", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig",
            "SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister",
            "CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister", "TraceSetting",
            "LogSettings"}
# The roles of which one is enough. A method that is in none of these is one whose access nobody has thought of.
NEEDS = {**{name: {"predict"} for name in ("Predict", "StreamPredict", "ModelInfer", "ModelStreamInfer")},
         **{name: {"feedback"} for name in ("SubmitFeedback", "StreamFeedback")},
         **{name: {"read"} for name in ("ListCalibrators", "GetCalibrationReport", "WatchCalibration", "ListAlarms",
                                         "ListSlices", "GetRefitStatus",
                                        "ModelStatistics", "RepositoryIndex", "GetLogLevel")},
         **{name: {"admin"} for name in ("FitCalibrator", "ActivateCalibrator", "RollbackCalibrator",
                                         "AcknowledgeAlarm", "RepositoryModelLoad", "RepositoryModelUnload",
                                         "SetLogLevel")},
         **{name: set(ROLES) for name in ANY_ROLE}}
UNASKED = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def make_ca(directory, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
            f"/CN={name}", "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem",
            "-addext", "basicConstraints=critical,CA:TRUE")


def make_certificate(directory, ca, name, alternatives, file=None):
    """FILE.pem and FILE.key, signed by the CA."""
    file = file or name
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{directory}/{file}.key", "-out", f"{directory}/{file}.csr")
    (directory / f"{file}.ext").write_text(f"subjectAltName={alternatives}\n")
    openssl("x509", "-req", "-in", f"{directory}/{file}.csr", "-CA", f"{directory}/{ca}.pem", "-CAkey",
            f"{directory}/{ca}.key", "-CAcreateserial", "-days", "1", "-extfile", f"{directory}/{file}.ext", "-out",
            f"{directory}/{file}.pem")
    (directory / f"{file}.key").chmod(0o600)


def make_tokens(directory, specifications):
    """{name: token}, and the file with their lines."""
    tokens, lines = {}, []
    for name, roles in specifications.items():
        out = subprocess.run([OPTIONS.server, "--new-token", f"{name}={roles}"], env=ENVIRONMENT, check=True,
                             capture_output=True, text=True).stdout.splitlines()
        tokens[name] = out[1]
        lines.append(out[3])
        (directory / f"{name}.token").write_text(out[1] + "\n")
    (directory / "tokens").write_text("\n".join(lines) + "\n")
    (directory / "tokens").chmod(0o600)
    return tokens


def fields(message):
    """[(number, bytes)] of the length-delimited fields of a protobuf message that has no others of weight."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 128:
                return value, at
    out, at = [], 0
    while at < len(message):
        key, at = varint(at)
        size, at = varint(at)
        if key & 7 == 2:
            out.append((key >> 3, message[at:at + size]))
            at += size
    return out


class Contract:
    """The services of a server and their messages, as its reflection tells."""

    def __init__(self, channel):
        self.ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        self.pool = descriptor_pool.DescriptorPool()
        listed = dict(self.answer(b"\x3a\x01*"))[6]
        self.services = [dict(fields(service))[1].decode() for _, service in fields(listed)]
        self.added = set()
        for service in set(self.services) - UNASKED:
            self.add(self.files(b"\x22" + bytes([len(service)]) + service.encode()))

    def answer(self, request):
        return fields(next(self.ask(iter([request]), timeout=WAIT_S)))

    def files(self, request):
        return [descriptor_pb2.FileDescriptorProto.FromString(file)
                for _, file in fields(dict(self.answer(request))[4])]

    def add(self, files):
        for file in files:
            if file.name in self.added:
                continue
            self.added.add(file.name)
            for needed in file.dependency:
                if needed not in self.added:
                    self.add(self.files(b"\x1a" + bytes([len(needed)]) + needed.encode()))
            self.pool.Add(file)

    def methods(self):
        """(service, method) of all, with their descriptors."""
        for service in set(self.services) - UNASKED:
            yield from ((service, method) for method in self.pool.FindServiceByName(service).methods)

    def message(self, name, **values):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))(**values)


class AccessTest(command_test.LiveServerTest):
    """What the tests below share. A subclass says with which flags its server is started."""
    admin_listen = "127.0.0.1:0"

    @classmethod
    def start_server(cls):
        cls.dir = pathlib.Path(cls.scratch)
        cls.tokens = make_tokens(cls.dir, {**{role: role for role in ROLES}, "all": ",".join(ROLES)})
        cls.server_flags = tuple(map(str, cls.flags()))
        super().start_server()

    def channel(self, credentials=None):
        channel = (grpc.insecure_channel(self.address) if credentials is None
                   else grpc.secure_channel(self.address, credentials))
        self.addCleanup(channel.close)
        return channel

    @staticmethod
    def call(channel, path, request=b"", token=None):
        """The code that a call ends with; of any kind of method, since on the wire they are one."""
        metadata = [("authorization", f"Bearer {token}")] if token is not None else []
        try:
            for _ in channel.stream_stream(path)(iter([request]), metadata=metadata, timeout=WAIT_S):
                break
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def models_code(self, channel, token=None):
        return self.call(channel, "/calserve.v1.ModelService/ListModels", token=token)

    def ask(self, path, token=None, context=None):
        return self.answer(path, token, context)[0]

    def body(self, path, token=None):
        return self.answer(path, token)[1].decode()

    def answer(self, path, token=None, context=None):
        connection = (http.client.HTTPConnection(self.admin_address, timeout=WAIT_S) if context is None else
                      http.client.HTTPSConnection(self.admin_address, timeout=WAIT_S, context=context))
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @classmethod
    def server_log(cls):
        return (cls.scratch / "server.log").read_text(encoding="utf-8")

    def wait_for(self, condition, what):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)


class TokenTest(AccessTest):
    """Plain text on loopback, with tokens."""

    @classmethod
    def flags(cls):
        return ("--access-tokens-file", cls.dir / "tokens", "--grpc-reflection", "on", "--access-audit-file",
                cls.dir / "audit.log", "--repository-control", "explicit", "--repository-load", MODEL)

    def state(self):
        """All that is stored but what the windows were, which is saved by the clock."""
        with sqlite3.connect(f"file:{self.dir}/data/calserve.db?mode=ro", uri=True) as store:
            tables = [name for name, in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                      if "checkpoint" not in name]
            rows = {table: store.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
        models = self.calserve("models", "--json", "--token-file", str(self.dir / "all.token"))[0]
        return rows, models

    def fit(self):
        """Feedback for the images, and a calibrator fitted to it; its version."""
        token = ("--token-file", str(self.dir / "all.token"))
        self.calserve("evaluate", "--model", MODEL, str(self.list), *token)
        self.calserve("fit", "--model", MODEL, "--method", "temperature", *token)
        return 1

    def requests(self, contract, version):
        """Requests that would change something, were they let."""
        inputs = {"model": MODEL, "inputs": [{"encoded_image": self.images[0].read_bytes()}]}
        predicted = contract.message("calserve.v1.PredictResponse")
        channel = grpc.insecure_channel(self.address)
        predicted.ParseFromString(channel.unary_unary("/calserve.v1.PredictionService/Predict")(
            contract.message("calserve.v1.PredictRequest", **inputs).SerializeToString(),
            metadata=[("authorization", f"Bearer {self.tokens['predict']}")], timeout=WAIT_S))
        channel.close()
        items = [{"ticket": predicted.predictions[0].ticket, "class_index": 3}]
        change = {"model": MODEL, "model_version": 1}
        return {"Predict": inputs, "SubmitFeedback": {"items": items}, "StreamFeedback": {"items": items},
                "ActivateCalibrator": {**change, "version": version, "expected_active_version": 0},
                "RollbackCalibrator": {**change, "expected_active_version": 0},
                "FitCalibrator": {"specification": {**change, "stored": {}}},
                "RepositoryModelLoad": {"model_name": MODEL}, "RepositoryModelUnload": {"model_name": MODEL}}

    def test_a_method_is_open_to_its_roles_alone_and_a_denied_call_changes_nothing(self):
        channel = self.channel()
        contract = Contract(channel)
        self.assertEqual({name for name in contract.services if name not in UNASKED},
                         {"calserve.v1.PredictionService", "calserve.v1.FeedbackService",
                          "calserve.v1.CalibrationService", "calserve.v1.ModelService", "calserve.v1.ServerService",
                          "inference.GRPCInferenceService"})
        version = self.fit()
        requests = self.requests(contract, version)
        before = self.state()
        walked = 0
        for service, method in contract.methods():
            path = f"/{service}/{method.name}"
            request = contract.message(method.input_type.full_name, **requests.get(method.name, {}))
            request = request.SerializeToString()
            if method.name in OPEN:
                self.assertEqual(self.call(channel, path, request), grpc.StatusCode.OK, path)
                continue
            self.assertIn(method.name, NEEDS, f"{path}: say here and in server/rpc/methods.h who may call it")
            for token in (None, "wrong", self.tokens["all"] + "x"):
                self.assertEqual(self.call(channel, path, request, token), grpc.StatusCode.UNAUTHENTICATED, path)
                walked += 1
            for role in ROLES:
                allowed = NEEDS[method.name] & ({"admin", "read"} if role == "admin" else {role})
                if not allowed:
                    code = self.call(channel, path, request, self.tokens[role])
                    self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED, f"{path} as {role}")
                    walked += 1
        self.assertGreater(walked, 100)
        self.assertEqual(self.state(), before)

        # The same calls with the roles that they need: they were worth denying.
        for service, name, role in (("ModelService", "ListModels", "feedback"),
                                    ("FeedbackService", "SubmitFeedback", "feedback"),
                                    ("CalibrationService", "ActivateCalibrator", "admin")):
            kind = f"calserve.v1.{name}Request"
            request = contract.message(kind, **requests.get(name, {})).SerializeToString()
            code = self.call(channel, f"/calserve.v1.{service}/{name}", request, self.tokens[role])
            self.assertEqual(code, grpc.StatusCode.OK, name)
        after = self.state()
        self.assertEqual(len(after[0]["feedback"]), len(before[0]["feedback"]) + 1)
        self.assertNotEqual(after[1], before[1])
        self.check_audit(version)

    def check_audit(self, version):
        lines = (self.dir / "audit.log").read_text(encoding="utf-8").splitlines()
        activations = [line for line in lines if "ActivateCalibrator" in line]
        for outcome, who in (("UNAUTHENTICATED", "unknown"), ("PERMISSION_DENIED", "token:predict"),
                             ("PERMISSION_DENIED", "token:feedback"), ("PERMISSION_DENIED", "token:read")):
            self.assertTrue(any(f"who={who} " in line and f"outcome={outcome} " in line for line in activations),
                            f"{who} {outcome}\n" + "\n".join(activations))
        for method in (name for name, roles in NEEDS.items() if roles == {"admin"}):
            for outcome, who in (("UNAUTHENTICATED", "unknown"), ("PERMISSION_DENIED", "token:read")):
                self.assertTrue(any(f"who={who} " in line and f"/{method} " in line and f"outcome={outcome} " in line
                                    for line in lines), f"{method} {outcome}")
        done = [line for line in activations if line.endswith("outcome=OK")]
        self.assertEqual(len(done), 1)
        self.assertRegex(done[0], r"^\S+ audit who=token:admin peer=\S+ "
                         r"action=calserve.v1.CalibrationService/ActivateCalibrator request_id=[0-9a-f]{32} "
                         rf"model=fashion_mnist model_version=1 before=0 after={version} outcome=OK$")
        for token in self.tokens.values():
            self.assertNotIn(token, "\n".join(lines) + self.server_log())

    def test_feedback_is_kept_under_the_name_of_who_sent_it(self):
        out = self.calserve("predict", "--model", MODEL, "--json", str(self.images[7]), "--token-file",
                            str(self.dir / "predict.token"))[0]
        ticket = re.search(r'"ticket":\s*"([^"]+)"', out)[1]
        self.calserve("feedback", "--ticket", ticket, "--class-index", "2", "--token-file",
                      str(self.dir / "feedback.token"))
        rows = self.state()[0]["feedback"]
        self.assertTrue(any("token:feedback" in row for row in rows), rows[:1])

    def test_the_command_takes_a_token_from_a_file_or_the_environment_and_never_from_its_arguments(self):
        err = self.calserve("models", exits=REFUSED)[1]
        self.assertIn("UNAUTHENTICATED", err)
        self.assertIn("--token-file", err)
        self.calserve("models", "--token-file", str(self.dir / "read.token"))
        self.calserve("models", "--token-file", str(self.dir / "none.token"), exits=REFUSED)
        self.calserve("models", "--token", self.tokens["read"], exits=USAGE)
        for variable, value in (("CALSERVE_TOKEN", self.tokens["read"]),
                                ("CALSERVE_TOKEN_FILE", str(self.dir / "read.token"))):
            run = subprocess.run([OPTIONS.command, "--server", self.address, "models"], close_fds=False,
                                 env={**ENVIRONMENT, variable: value}, timeout=WAIT_S, capture_output=True, check=False)
            self.assertEqual(run.returncode, DONE, run.stderr)
        for elsewhere in ("192.0.2.1:8500", "localhost.example:8500", "127.example:8500"):
            out = self.calserve("models", "--token-file", str(self.dir / "read.token"), server=elsewhere, exits=USAGE)
            self.assertIn("in plain text", out[1])

    def test_the_admin_port_shows_metrics_to_readers_and_health_to_all(self):
        self.assertEqual(self.ask("/healthz"), 200)
        self.assertEqual(self.ask("/readyz"), 200)
        self.assertEqual(self.ask("/metrics"), 401)
        self.assertEqual(self.ask("/metrics", "wrong"), 401)
        self.assertEqual(self.ask("/metrics", self.tokens["predict"]), 403)
        self.assertEqual(self.ask("/metrics", self.tokens["read"]), 200)
        self.assertEqual(self.ask("/metrics", self.tokens["admin"]), 200)

    def test_health_is_open(self):
        self.assertEqual(self.call(self.channel(), "/grpc.health.v1.Health/Check"), grpc.StatusCode.OK)

    def test_a_token_that_is_too_long_is_refused(self):
        for size in (8 << 10, 16 << 10):
            code = self.models_code(self.channel(), "a" * size)
            # Beyond gRPC's own limit of headers it says so itself.
            self.assertIn(code, (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED))

    def test_two_authorizations_are_not_one(self):
        metadata = [("authorization", "Bearer wrong"), ("authorization", f"Bearer {self.tokens['read']}")]
        with self.assertRaises(grpc.RpcError) as raised:
            self.channel().unary_unary("/calserve.v1.ModelService/ListModels")(b"", metadata=metadata, timeout=WAIT_S)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)


class AuditTest(AccessTest):
    """The audit file as an operator treats it."""

    @classmethod
    def flags(cls):
        (cls.dir / "audit").mkdir(exist_ok=True)
        return ("--access-tokens-file", cls.dir / "tokens", "--access-audit-file", cls.dir / "audit" / "log")

    def roll_back(self, token="admin"):
        return self.call(self.channel(), "/calserve.v1.CalibrationService/RollbackCalibrator", token=self.tokens[token])

    def test_a_file_that_was_rotated_away_is_followed_by_a_new_one(self):
        log = self.dir / "audit" / "log"
        self.roll_back()
        log.rename(log.with_suffix(".1"))
        self.roll_back("read")
        self.assertIn("who=token:admin", log.with_suffix(".1").read_text(encoding="utf-8"))
        self.assertNotIn("who=token:read", log.with_suffix(".1").read_text(encoding="utf-8"))
        self.assertIn("who=token:read", log.read_text(encoding="utf-8"))
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)

    def test_what_cannot_be_audited_is_refused_and_counted_and_can_be_done_again_later(self):
        (self.dir / "audit").rename(self.dir / "elsewhere")
        with self.assertRaises(grpc.RpcError) as raised:
            self.channel().unary_unary("/calserve.v1.CalibrationService/RollbackCalibrator")(
                b"", metadata=[("authorization", f"Bearer {self.tokens['admin']}")], timeout=WAIT_S)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("could not be audited: access.audit_file: ", raised.exception.details())
        self.assertIn(b"AUDIT_UNAVAILABLE", dict(raised.exception.trailing_metadata())["grpc-status-details-bin"])
        self.assertIn(" error not audited error=\"access.audit_file: ", self.server_log())
        self.assertIn("who=token:admin", self.server_log())
        self.assertEqual(self.roll_back("read"), grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(self.models_code(self.channel(), self.tokens["read"]), grpc.StatusCode.OK)
        self.assertIn("\ncalserve_audit_failures_total 2\n", self.body("/metrics", self.tokens["read"]))
        (self.dir / "elsewhere").rename(self.dir / "audit")
        self.assertNotEqual(self.roll_back(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("audit who=server action=audit lines_missing=2 outcome=OK",
                      (self.dir / "audit" / "log").read_text(encoding="utf-8"))


class ChangedTokensTest(AccessTest):
    @classmethod
    def flags(cls):
        return ("--access-tokens-file", cls.dir / "tokens")

    def test_a_line_that_is_added_or_removed_counts_within_seconds(self):
        channel = self.channel()
        self.assertEqual(self.models_code(channel, self.tokens["read"]), grpc.StatusCode.OK)
        old = self.tokens["read"]
        fresh = make_tokens(self.dir, {"read": "read"})["read"]
        self.wait_for(lambda: self.models_code(channel, fresh) == grpc.StatusCode.OK, "the new token never counts")
        self.assertEqual(self.models_code(channel, old), grpc.StatusCode.UNAUTHENTICATED)

    def test_without_being_asked_to_it_does_not_reflect(self):
        code = self.call(self.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                         b"\x3a\x01*", self.tokens["all"])
        self.assertEqual(code, grpc.StatusCode.UNIMPLEMENTED)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class JwtTest(AccessTest):
    @classmethod
    def flags(cls):
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{cls.dir}/jwt.key")
        modulus = openssl("rsa", "-in", f"{cls.dir}/jwt.key", "-noout", "-modulus").decode().strip()
        key = {"kty": "RSA", "kid": "one", "alg": "RS256", "e": "AQAB",
               "n": base64url(bytes.fromhex(modulus.removeprefix("Modulus=")))}
        (cls.dir / "jwks.json").write_text(json.dumps({"keys": [key]}))
        return ("--access-jwks-file", cls.dir / "jwks.json", "--access-jwt-issuer", "https://idp.example",
                "--access-jwt-audience", "calserve")

    def sign(self, header=None, **claims):
        header = header or {"alg": "RS256", "kid": "one"}
        claims = {"iss": "https://idp.example", "aud": "calserve", "sub": "alice", "roles": ["read"],
                  "exp": time.time() + 600, **claims}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        if header["alg"] == "none":
            return text + "."
        return f"{text}.{base64url(openssl('dgst', '-sha256', '-sign', f'{self.dir}/jwt.key', data=text.encode()))}"

    def test_a_jwt_of_the_issuer_counts_and_no_other(self):
        channel = self.channel()
        good = self.sign()
        self.assertEqual(self.models_code(channel, good), grpc.StatusCode.OK)
        self.assertEqual(self.ask("/metrics", good), 200)
        path = "/calserve.v1.CalibrationService/RollbackCalibrator"
        self.assertEqual(self.call(channel, path, token=good), grpc.StatusCode.PERMISSION_DENIED)
        for bad in (self.sign(exp=time.time() - 60), self.sign(nbf=time.time() + 120), self.sign(aud="other"),
                    self.sign(iss="https://evil.example"), self.sign({"alg": "none", "kid": "one"}),
                    self.sign({"alg": "RS256", "kid": "two"}), good[:-8] + "AAAAAAAA"):
            self.assertEqual(self.models_code(channel, bad), grpc.StatusCode.UNAUTHENTICATED, bad)


class TlsTest(AccessTest):
    mutual = False

    @classmethod
    def flags(cls):
        for ca in ("ca", "other"):
            make_ca(cls.dir, ca)
        make_certificate(cls.dir, "ca", "server", "IP:127.0.0.1,DNS:localhost")
        make_certificate(cls.dir, "ca", "app.example", "DNS:app.example")
        make_certificate(cls.dir, "other", "app.example", "DNS:app.example", file="stranger")
        return ("--tls-certificate-file", cls.dir / "server.pem", "--tls-key-file", cls.dir / "server.key",
                "--access-tokens-file", cls.dir / "tokens")

    @classmethod
    def pem(cls, name):
        return (cls.dir / name).read_bytes()

    def credentials(self, ca="ca", client=None):
        own = (self.pem(f"{client}.key"), self.pem(f"{client}.pem")) if client else (None, None)
        return grpc.ssl_channel_credentials(self.pem(f"{ca}.pem"), *own)

    def context(self, ca="ca", client=None):
        context = ssl.create_default_context(cafile=str(self.dir / f"{ca}.pem"))
        if client:
            context.load_cert_chain(self.dir / f"{client}.pem", self.dir / f"{client}.key")
        return context

    def certificate(self, address):
        """What is shown in a new handshake."""
        host, port = address.rsplit(":", 1)
        context = ssl.create_default_context(cafile=str(self.dir / "ca.pem"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as plain:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()


def message_field(number, payload):
    """A length-delimited field of a protobuf message, on the wire."""
    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


class PredictStream:
    """A StreamPredict that goes on for as long as it is asked."""

    def __init__(self, channel, image, token=None):
        self.requests = queue.Queue()
        self.image = image
        self.sent = 0
        self.answers = channel.stream_stream("/calserve.v1.PredictionService/StreamPredict")(
            iter(self.requests.get, None), metadata=[("authorization", f"Bearer {token}")] if token else [])

    def ask(self):
        """The answer to one more request."""
        self.sent += 1
        request = message_field(1, MODEL.encode()) + message_field(3, message_field(1, self.image))
        self.requests.put(b"\x08" + bytes([self.sent]) + message_field(2, request))
        return next(self.answers)

    def predict(self):
        """Whether one more answer, and not a failure, comes with its number."""
        return self.ask().startswith(b"\x08" + bytes([self.sent]) + b"\x12")

    def end(self):
        self.requests.put(None)


class RotationTest(TlsTest):
    """The server's certificate, its key and the authority of both sides are replaced under open streams, as at the end
    of an authority's life: nothing new is signed by the old one."""

    @classmethod
    def flags(cls):
        flags = (*super().flags(), "--tls-client-ca-file", cls.dir / "clients.pem", "--tls-client-names",
                 "app.example=predict+read+feedback+admin")
        make_certificate(cls.dir, "other", "server", "IP:127.0.0.1,DNS:localhost", file="next")
        (cls.dir / "clients.pem").write_bytes(cls.pem("ca.pem"))
        return flags

    def replace(self, **files):
        for name, content in files.items():
            (self.dir / "fresh").write_bytes(content)
            (self.dir / "fresh").chmod(0o600)
            (self.dir / "fresh").replace(self.dir / name.replace("_", "."))

    def reached(self, ca, client):
        """Whether a new connection that trusts that authority, as that client, is served."""
        return self.models_code(self.channel(self.credentials(ca, client))) == grpc.StatusCode.OK

    def test_streams_go_on_and_new_connections_get_what_is_new(self):
        old = self.channel(self.credentials(client="app.example"))
        predicting = PredictStream(old, self.images[0].read_bytes())
        self.assertTrue(predicting.predict())
        watch = old.unary_stream("/calserve.v1.CalibrationService/WatchCalibration")
        watching = watch(message_field(1, MODEL.encode()))
        self.assertTrue(next(watching))
        ended = threading.Event()
        watching.add_callback(ended.set)
        predicting.answers.add_callback(ended.set)
        self.assertTrue(self.reached("ca", "app.example"))
        self.assertFalse(self.reached("ca", "stranger"))

        # Both authorities first, then the new certificate, then the new authority alone.
        self.replace(clients_pem=self.pem("ca.pem") + self.pem("other.pem"))
        self.wait_for(lambda: self.reached("ca", "stranger"), "the second authority's clients are not taken")
        self.assertTrue(self.reached("ca", "app.example"))
        self.replace(server_key=self.pem("next.key"), server_pem=self.pem("next.pem"))
        self.wait_for(lambda: self.reached("other", "stranger"), "the new certificate is not shown")
        self.assertFalse(self.reached("ca", "app.example"))  # They do not trust it.
        self.replace(clients_pem=self.pem("other.pem"))
        self.wait_for(lambda: not self.reached("other", "app.example"), "the old authority's clients are still taken")
        self.assertTrue(self.reached("other", "stranger"))
        self.assertEqual(self.ask("/metrics", None, self.context("other", client="stranger")), 200)

        for _ in range(20):
            self.assertTrue(predicting.predict())
        self.assertFalse(ended.is_set())
        labelled = ("--ca-file", str(self.dir / "other.pem"), "--certificate", str(self.dir / "stranger.pem"), "--key",
                    str(self.dir / "stranger.key"))
        self.calserve("evaluate", "--model", MODEL, str(self.list), *labelled)
        self.assertTrue(next(watching))
        self.assertFalse(ended.is_set())
        predicting.end()
        self.assertEqual(predicting.answers.code(), grpc.StatusCode.OK)
        watching.cancel()


class SlowClientsTest(TlsTest):
    """Clients that begin a handshake or a head and do not end it, as many as there are threads and places, and more."""

    def hold(self, address, sent, count):
        host, port = address.rsplit(":", 1)
        for _ in range(count):
            connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
            self.addCleanup(connection.close)
            connection.sendall(sent)

    def test_probes_and_scrapes_are_answered_all_the_same(self):
        hello = b"\x16\x03\x01\x02\x00\x01"
        for _ in range(3):
            self.hold(self.admin_address, hello, 40)
            self.hold(self.admin_address, b"", 40)
            for path, token in (("/healthz", None), ("/readyz", None), ("/metrics", self.tokens["read"])):
                self.assertEqual(self.ask(path, token, self.context()), 200)


class ServerTlsTest(TlsTest):
    def test_whoever_trusts_the_ca_and_has_a_token_is_served(self):
        channel = self.channel(self.credentials())
        self.assertEqual(self.models_code(channel, self.tokens["read"]), grpc.StatusCode.OK)
        self.assertEqual(self.models_code(channel), grpc.StatusCode.UNAUTHENTICATED)
        self.calserve("models", "--ca-file", str(self.dir / "ca.pem"), "--token-file", str(self.dir / "read.token"))
        self.assertEqual(self.ask("/metrics", self.tokens["read"], self.context()), 200)
        self.assertEqual(self.ask("/healthz", None, self.context()), 200)

    def test_a_plain_text_client_and_one_that_trusts_another_ca_get_no_connection(self):
        self.assertEqual(self.models_code(self.channel(), self.tokens["read"]), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.models_code(self.channel(self.credentials("other")), self.tokens["read"]),
                         grpc.StatusCode.UNAVAILABLE)
        token = ("--token-file", str(self.dir / "read.token"), "--timeout", "2s")
        self.calserve("models", *token, exits=UNREACHABLE)
        self.calserve("models", "--ca-file", str(self.dir / "other.pem"), *token, exits=UNREACHABLE)
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.ask("/healthz")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.ask("/healthz", None, self.context("other"))

    def test_a_new_certificate_is_shown_to_new_connections_and_streams_stay_open(self):
        channel = self.channel(self.credentials())
        request = b"\x0a" + bytes([len(MODEL)]) + MODEL.encode()  # model
        stream = channel.unary_stream("/calserve.v1.CalibrationService/WatchCalibration")(
            request, metadata=[("authorization", f"Bearer {self.tokens['read']}")])
        self.assertTrue(next(stream))
        ended = threading.Event()
        stream.add_callback(ended.set)
        before = self.certificate(self.address)
        self.assertEqual(self.certificate(self.admin_address), before)

        make_certificate(self.dir, "ca", "server", "IP:127.0.0.1,DNS:localhost", file="next")
        (self.dir / "next.pem").replace(self.dir / "server.pem")  # For a moment it has the old key.
        time.sleep(1.5)
        self.assertEqual(self.certificate(self.address), before)
        (self.dir / "next.key").replace(self.dir / "server.key")
        self.wait_for(lambda: self.certificate(self.address) != before, "gRPC shows the old certificate")
        self.wait_for(lambda: self.certificate(self.admin_address) != before, "the admin port shows the old one")
        self.assertEqual(self.certificate(self.address), self.certificate(self.admin_address))
        self.assertFalse(ended.is_set())
        # The stream still carries what changes.
        secure = ("--ca-file", str(self.dir / "ca.pem"), "--token-file", str(self.dir / "all.token"))
        self.calserve("evaluate", "--model", MODEL, str(self.list), *secure)
        self.assertTrue(next(stream))
        stream.cancel()


class MutualTlsTest(TlsTest):
    @classmethod
    def flags(cls):
        return (*super().flags(), "--tls-client-ca-file", cls.dir / "ca.pem", "--tls-client-names",
                "app.example=predict+read", "--access-audit-file", cls.dir / "audit.log")

    def test_a_client_without_a_certificate_of_the_ca_gets_no_connection(self):
        for client in (None, "stranger"):
            code = self.models_code(self.channel(self.credentials(client=client)), self.tokens["read"])
            self.assertEqual(code, grpc.StatusCode.UNAVAILABLE, client)

    def test_a_certificate_may_do_what_its_name_may(self):
        channel = self.channel(self.credentials(client="app.example"))
        self.assertEqual(self.models_code(channel), grpc.StatusCode.OK)
        path = "/calserve.v1.CalibrationService/RollbackCalibrator"
        self.assertEqual(self.call(channel, path), grpc.StatusCode.PERMISSION_DENIED)
        self.assertIn("who=cert:app.example", (self.dir / "audit.log").read_text(encoding="utf-8"))
        self.calserve("models", "--ca-file", str(self.dir / "ca.pem"), "--certificate",
                      str(self.dir / "app.example.pem"), "--key", str(self.dir / "app.example.key"))

    def test_a_token_counts_instead_of_the_certificate(self):
        channel = self.channel(self.credentials(client="app.example"))
        path = "/calserve.v1.CalibrationService/ListCalibrators"
        self.assertEqual(self.call(channel, path, token=self.tokens["predict"]), grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(self.call(channel, path, token="wrong"), grpc.StatusCode.UNAUTHENTICATED)

    def test_the_admin_port_takes_a_certificate_and_asks_probes_for_none(self):
        self.assertEqual(self.ask("/healthz", None, self.context()), 200)
        self.assertEqual(self.ask("/metrics", None, self.context()), 401)
        self.assertEqual(self.ask("/metrics", None, self.context(client="app.example")), 200)
        with self.assertRaises(OSError):
            self.ask("/healthz", None, self.context(client="stranger"))


class LimitTest(AccessTest):
    @classmethod
    def flags(cls):
        return ("--access-tokens-file", cls.dir / "tokens", "--access-rate-limit", "5",
                "--access-concurrency-limit", "2")

    def test_one_client_beyond_its_limits_is_told_when_to_retry_and_others_are_served(self):
        channel = self.channel()
        errors = []
        for _ in range(50):
            try:
                channel.unary_unary("/calserve.v1.ModelService/ListModels")(
                    b"", metadata=[("authorization", f"Bearer {self.tokens['predict']}")], timeout=WAIT_S)
            except grpc.RpcError as error:
                errors.append(error)
        self.assertGreater(len(errors), 0)
        for error in errors:
            self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            self.assertIn(b"google.rpc.RetryInfo", details)
            self.assertIn(b"RATE_LIMIT", details)
        self.assertEqual(self.models_code(channel, self.tokens["feedback"]), grpc.StatusCode.OK)

    def test_the_messages_of_a_stream_count_as_calls_and_the_stream_goes_on(self):
        channel = self.channel()
        stream = PredictStream(channel, self.images[0].read_bytes(), self.tokens["all"])
        refused = [answer for answer in (stream.ask() for _ in range(50)) if answer[2:3] == b"\x1a"]
        self.assertGreater(len(refused), 0)
        for answer in refused:
            self.assertIn(b"\x08\x08", answer)  # the code RESOURCE_EXHAUSTED
            self.assertIn(b"access.rate_limit", answer)
        time.sleep(1.5)
        self.assertTrue(stream.predict())
        stream.end()
        self.assertEqual(self.models_code(channel, self.tokens["feedback"]), grpc.StatusCode.OK)

    def test_calls_under_way_are_counted(self):
        channel = self.channel()
        request = b"\x0a" + bytes([len(MODEL)]) + MODEL.encode()
        watch = channel.unary_stream("/calserve.v1.CalibrationService/WatchCalibration")
        metadata = [("authorization", f"Bearer {self.tokens['read']}")]
        held = [watch(request, metadata=metadata) for _ in range(2)]
        for stream in held:
            self.assertTrue(next(stream))
        with self.assertRaises(grpc.RpcError) as raised:
            next(watch(request, metadata=metadata))
        self.assertIn("CONCURRENCY_LIMIT", str(dict(raised.exception.trailing_metadata())))
        held[0].cancel()
        time.sleep(1)
        self.wait_for(lambda: self.models_code(channel, self.tokens["read"]) == grpc.StatusCode.OK, "no room")
        held[1].cancel()


class PlainTextTest(command_test.LiveServerTest):
    def start(self, *flags):
        return subprocess.run([OPTIONS.server, "--model-repository", str(OPTIONS.models), "--data-dir",
                               str(self.scratch / "more"), *flags], env=ENVIRONMENT, timeout=WAIT_S,
                              capture_output=True, text=True, check=False)

    def test_beyond_loopback_it_must_be_spelled_out(self):
        for flags in (("--listen", "0.0.0.0:0"), ("--listen", "[::]:0"), ("--admin-listen", "0.0.0.0:0"),
                      ("--listen", "localhost.example:0")):
            run = self.start(*flags)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn("--insecure", run.stderr)
        self.assertEqual(self.start("--listen", "0.0.0.0:0", "--insecure", "--validate-only").returncode, 0)

    def test_options_of_tls_that_do_not_fit_together_are_refused(self):
        for flags, rule in ((("--tls-key-file", "x"), "go together"), (("--tls-client-ca-file", "x"), "are for TLS"),
                            (("--access-jwks-file", "x"), "access.jwt_issuer"),
                            (("--access-jwt-issuer", "https://idp.example"), "needs access.jwks_file"),
                            (("--admin-allowed-hosts", "https://a.example"), "must be a host name alone")):
            run = self.start(*flags)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn(rule, run.stderr)


class InsecureTest(command_test.LiveServerTest):
    admin_listen = "0.0.0.0:0"
    server_flags = ("--insecure",)

    def test_what_is_insecure_is_said_in_the_log(self):
        self.assertIn("insecure: the admin port at 0.0.0.0:0 is plain text",
                      (self.scratch / "server.log").read_text(encoding="utf-8"))


if __name__ == "__main__":
    kserve_testing.main()
