"""Who may do what on a live calserve-server: tokens, JWTs, limits and the audit log, with gRPC's own client.

    access_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import base64
import json
import re
import sqlite3
import subprocess
import threading
import time

import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from access_testing import ROLES, AccessTest, PredictStream, make_tokens, openssl, predict_request
from command_test import DONE, ENVIRONMENT, MODEL, OPTIONS, REFUSED, USAGE, WAIT_S
from contract import UNASKED, Contract

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
        # A client that does not know the server's limit yet sends headers beyond it, and gRPC closes the connection.
        channel = self.channel()
        grpc.channel_ready_future(channel).result(WAIT_S)
        for size in (8 << 10, 16 << 10):
            code = self.models_code(channel, "a" * size)
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

    def replace_tokens(self, lines):
        (self.dir / "fresh").write_text("\n".join(lines) + "\n")
        (self.dir / "fresh").chmod(0o600)
        (self.dir / "fresh").replace(self.dir / "tokens")

    def test_tokens_that_change_under_load_deny_what_they_took_and_nothing_else(self):
        """Calls go on with three tokens while the line of one comes and goes, and another's role."""
        tokens = make_tokens(self.dir, {"stays": "predict", "leaves": "predict", "turns": "predict"})
        with_all = (self.dir / "tokens").read_text(encoding="utf-8").splitlines()
        stays, _, turns = with_all
        without = [stays, turns.replace("predict", "feedback")]
        path, request = "/calserve.v1.PredictionService/Predict", predict_request(self.images[0].read_bytes())
        seen = {name: set() for name in tokens}
        done = threading.Event()

        def predict(name):
            channel = self.channel()
            while not done.is_set():
                seen[name].add(self.call(channel, path, request, tokens[name]))

        probe = self.channel()
        ok, unknown, denied = (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

        def wait_for_codes(leaving, turning):
            self.wait_for(lambda: self.call(probe, path, request, tokens["leaves"]) == leaving and
                          self.call(probe, path, request, tokens["turns"]) == turning, "the tokens never change")

        wait_for_codes(ok, ok)
        threads = [threading.Thread(target=predict, args=(name,)) for name in tokens]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                self.replace_tokens(without)
                wait_for_codes(unknown, denied)
                self.replace_tokens(with_all)
                wait_for_codes(ok, ok)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual(seen, {"stays": {ok}, "leaves": {ok, unknown}, "turns": {ok, denied}})

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


if __name__ == "__main__":
    kserve_testing.main()
