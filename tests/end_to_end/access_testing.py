"""What the tests of access share: tokens, OpenSSL's certificates, and a server that is started with them."""
import http.client
import pathlib
import queue
import subprocess
import time

import command_test
import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from command_test import ENVIRONMENT, MODEL, OPTIONS, WAIT_S

ROLES = ("predict", "feedback", "read", "admin")


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


def message_field(number, payload):
    """A length-delimited field of a protobuf message, on the wire."""
    def varint(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def predict_request(image):
    return message_field(1, MODEL.encode()) + message_field(3, message_field(1, image))


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
        self.requests.put(b"\x08" + bytes([self.sent]) + message_field(2, predict_request(self.image)))
        return next(self.answers)

    def predict(self):
        """Whether one more answer, and not a failure, comes with its number."""
        return self.ask().startswith(b"\x08" + bytes([self.sent]) + b"\x12")

    def end(self):
        self.requests.put(None)


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
