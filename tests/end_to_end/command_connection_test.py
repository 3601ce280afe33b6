"""What the calserve command says where it gets no connection: nobody there, TLS on one side only, a certificate that one
side does not take. With OpenSSL's certificates.

    command_connection_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import socket
import subprocess

import command_test
from command_test import UNREACHABLE
from relay import Relay


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Secured(command_test.LiveServerTest):
    """A server with the certificate of localhost and 127.0.0.1, unless a subclass has another."""
    names = "DNS:localhost,IP:127.0.0.1"
    mutual = False

    @classmethod
    def start_server(cls):
        for authority in ("ca", "other"):
            openssl("req", "-x509", *cls.new_key(authority), "-days", "1", "-subj", f"/CN={authority}", "-out",
                    cls.scratch / f"{authority}.pem", "-addext", "basicConstraints=critical,CA:TRUE")
        cls.certificate("server", "ca", cls.names)
        cls.server_flags = ["--tls-certificate-file", cls.scratch / "server.pem", "--tls-key-file",
                            cls.scratch / "server.key"]
        if cls.mutual:
            cls.server_flags += ["--tls-client-ca-file", cls.scratch / "ca.pem"]
        super().start_server()

    @classmethod
    def new_key(cls, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.scratch / f"{name}.key"]

    @classmethod
    def certificate(cls, name, authority, names):
        path = cls.scratch / name
        openssl("req", *cls.new_key(name), "-subj", f"/CN={name}", "-out", f"{path}.csr")
        path.with_suffix(".ext").write_text(f"subjectAltName={names}\n", encoding="utf-8")
        openssl("x509", "-req", "-in", f"{path}.csr", "-CA", cls.scratch / f"{authority}.pem", "-CAkey",
                cls.scratch / f"{authority}.key", "-CAcreateserial", "-days", "1", "-extfile", f"{path}.ext", "-out",
                f"{path}.pem")
        path.with_suffix(".key").chmod(0o600)

    def calls(self, *flags, **options):
        return self.calserve("--timeout", "5s", *flags, "models", **options)

    def error(self, *flags, **options):
        _, err = self.calls(*flags, exits=UNREACHABLE, **options)
        return err.splitlines()[-1]

    def trusting(self, authority="ca"):
        return ["--ca-file", self.scratch / f"{authority}.pem"]

    def showing(self, name):
        return ["--certificate", self.scratch / f"{name}.pem", "--key", self.scratch / f"{name}.key"]


class ServerOfTls(Secured):
    def test_a_client_of_plain_text_is_told_to_turn_tls_on(self):
        self.assertEqual(self.error(), f"calserve: cannot reach {self.address}: the server speaks TLS, this client plain "
                                       "text: turn tls on (--tls, or --ca-file FILE)")
        self.calls(*self.trusting())

    def test_a_stream_is_told_so_too(self):
        _, err = self.calserve("--timeout", "5s", "feedback", "--ticket", "AAAA", "--label", "Bag", exits=UNREACHABLE)
        self.assertIn("turn tls on (--tls, or --ca-file FILE)", err)

    def test_an_authority_that_is_not_the_servers_is_named(self):
        for flags in (self.trusting("other"), ["--tls"]):
            self.assertRegex(self.error(*flags), r"the server's certificate is not of an authority that is trusted \(.+\): "
                                                 r"name the one that issued it with ca_file \(--ca-file FILE\)$")


class ServerOfAnotherName(Secured):
    names = "DNS:elsewhere.example,IP:192.0.2.7"

    def test_the_names_that_the_certificate_has_are_named(self):
        self.assertIn("the server's certificate is not for 127.0.0.1 but for elsewhere.example, 192.0.2.7: name the server "
                      "so (--server)", self.error(*self.trusting()))


class ServerOfMutualTls(Secured):
    mutual = True

    @classmethod
    def start_server(cls):
        super().start_server()
        cls.certificate("good", "ca", "DNS:client")
        cls.certificate("foreign", "other", "DNS:client")

    def test_a_client_without_a_certificate_is_told_to_give_one(self):
        self.assertRegex(self.error(*self.trusting()), "the server wants a certificate of the client, and there is none "
                         r"\(.+\): give certificate_file and key_file \(--certificate FILE --key FILE\)$")
        self.calls(*self.trusting(), *self.showing("good"))

    def test_a_certificate_that_the_server_does_not_take_is_named(self):
        self.assertIn("the server does not take the client's certificate",
                      self.error(*self.trusting(), *self.showing("foreign")))

    def test_a_key_of_another_certificate_is_named(self):
        flags = [*self.trusting(), "--certificate", self.scratch / "good.pem", "--key", self.scratch / "foreign.key"]
        self.assertIn("certificate_file and key_file do not belong together (--certificate, --key)", self.error(*flags))


class ServerFarAway(Secured):
    def test_it_is_reached(self):
        with Relay(self.address, delay=0.3) as way:
            self.calserve("--timeout", "20s", *self.trusting(), "models", server=way.address)


class ServerOfPlainText(command_test.LiveServerTest):
    def test_a_client_of_tls_is_told_to_turn_it_off(self):
        _, err = self.calserve("--timeout", "5s", "--tls", "models", exits=UNREACHABLE)
        self.assertIn("the server speaks plain text, this client TLS: turn tls off (no --tls, --ca-file, --certificate), or "
                      "give the server a certificate", err)

    def test_a_port_where_nobody_listens_is_told_from_a_server_that_answers(self):
        with socket.socket() as taken:  # bound, so that nobody else takes it, but not listening
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            _, err = self.calserve("--timeout", "5s", "models", server=address, exits=UNREACHABLE)
        self.assertEqual(err, f"calserve: cannot reach {address}: Connection refused: is calserve-server running there? "
                              "(--server)\n")


if __name__ == "__main__":
    command_test.main()
