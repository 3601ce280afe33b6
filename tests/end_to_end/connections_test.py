"""How long a connection lives: who asks whether the other side is there, whom that may disturb, and when a client is sent
away to find another replica. With NVIDIA Triton's own client.

    connections_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import json
import os
import queue
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.request

import kserve_testing  # Before gRPC, whose environment it sets.

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from command_test import ENVIRONMENT, OPTIONS, WAIT_S, die_with_the_test
from kserve_testing import MODEL, KserveTest
from relay import Relay


class Asked(KserveTest):
    """A client asks each second whether the server is there, with a stream on which nothing is sent."""
    often = triton.KeepAliveOptions(keepalive_time_ms=1000, keepalive_timeout_ms=5000, http2_max_pings_without_data=0)

    def silent_stream(self, quiet_s):
        """What is answered to a request after `quiet_s` without one: a result, or why there is none."""
        answers = queue.Queue()
        with triton.InferenceServerClient(self.address, keepalive_options=self.often) as client:
            client.start_stream(lambda result, error: answers.put(error or result))
            client.async_stream_infer(MODEL, [self.input(self.tensors[:1])])
            self.assertIsInstance(answers.get(timeout=WAIT_S), triton.InferResult)
            time.sleep(quiet_s)
            if answers.empty():
                client.async_stream_infer(MODEL, [self.input(self.tensors[:1])])
            return answers.get(timeout=WAIT_S)


class AskedAsOftenAsItAllows(Asked):
    server_flags = ["--grpc-min-ping-interval", "500ms"]

    def test_the_stream_lives(self):
        self.assertIsInstance(self.silent_stream(5), triton.InferResult)


class AskedMoreOftenThanItAllows(Asked):
    server_flags = ["--grpc-min-ping-interval", "1h"]

    def test_the_stream_is_cut(self):
        self.assertIn("Too many pings", str(self.silent_stream(8)))


class OutOfFiles(KserveTest):
    """More connections than there are files for them, once."""
    admin_listen = "127.0.0.1:0"

    def test_the_server_listens_on(self):
        files = len(os.listdir(f"/proc/{self.server.pid}/fd")) + 50
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (files, files))
        host, port = self.address.rsplit(":", 1)
        sockets = [socket.create_connection((host, int(port)), WAIT_S) for _ in range(200)]
        self.assertEqual(sockets[-1].recv(1), b"", "turned away")
        for connection in sockets:
            connection.close()
        with triton.InferenceServerClient(self.address) as client:
            deadline = time.monotonic() + WAIT_S
            while not self.is_live(client):
                self.assertLess(time.monotonic(), deadline)
        with urllib.request.urlopen(f"http://{self.admin_address}/metrics", timeout=WAIT_S) as answer:
            self.assertRegex(answer.read().decode(), r"\ncalserve_connections_turned_away_total [1-9]")

    @staticmethod
    def is_live(client):
        try:
            return client.is_server_live()
        except InferenceServerException:
            return False


class Watched(KserveTest):
    """A client that no longer runs, with a connection that its kernel keeps."""
    server_flags = ["--grpc-keepalive-time", "1s", "--grpc-keepalive-timeout", "5s", "--log-level", "debug"]

    def test_a_client_that_is_gone_is_let_go(self):
        log = self.scratch / "server.log"
        watch = subprocess.Popen([OPTIONS.command, "--server", self.address, "--json", "watch", "--model", MODEL],
                                 stdout=subprocess.PIPE, env=ENVIRONMENT, preexec_fn=die_with_the_test)
        self.addCleanup(watch.communicate)
        self.addCleanup(watch.kill)
        self.assertIn("served", json.loads(watch.stdout.readline()))
        time.sleep(4)  # One that answers is kept, though it sends nothing.
        self.assertNotIn("WatchCalibration", log.read_text(encoding="utf-8"))
        watch.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + WAIT_S
        while not re.search(r"WatchCalibration code=CANCELLED", log.read_text(encoding="utf-8")):
            self.assertLess(time.monotonic(), deadline, "its call goes on")
            time.sleep(0.1)


class OfShortLife(KserveTest):
    server_flags = ["--grpc-max-connection-age", "1s", "--grpc-max-connection-age-grace", "2s"]

    def test_a_client_connects_anew_and_no_call_fails(self):
        with Relay(self.address) as way, triton.InferenceServerClient(way.address) as client:
            deadline = time.monotonic() + WAIT_S
            while way.connections < 4:
                client.infer(MODEL, [self.input(self.tensors[:1])])
                self.assertLess(time.monotonic(), deadline, "it keeps its connection")

    def test_a_stream_goes_on_for_the_grace_and_is_told_why_it_ends(self):
        answers = queue.Queue()
        with triton.InferenceServerClient(self.address) as client:
            begun = time.monotonic()
            client.start_stream(lambda result, error: answers.put(error or result))
            while True:
                try:
                    client.async_stream_infer(MODEL, [self.input(self.tensors[:1])])
                except InferenceServerException:  # ended meanwhile: `answers` says why
                    pass
                answer = answers.get(timeout=WAIT_S)
                if not isinstance(answer, triton.InferResult):
                    break
            self.assertEqual(answer.status(), "StatusCode.UNAVAILABLE", answer)
            self.assertGreater(time.monotonic() - begun, 2)


if __name__ == "__main__":
    kserve_testing.main()
