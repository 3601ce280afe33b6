"""TLS on a live calserve-server: certificates of both sides, their rotation under open streams, what is refused in plain
text, and clients that do not end a handshake. With OpenSSL's certificates and gRPC's own client.

    tls_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import hashlib
import http.client
import socket
import ssl
import subprocess
import threading
import time

import command_test
import kserve_testing  # Before gRPC, whose environment it sets.

import grpc

from access_testing import AccessTest, PredictStream, make_ca, make_certificate, message_field
from command_test import ENVIRONMENT, MODEL, OPTIONS, UNREACHABLE, WAIT_S


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
