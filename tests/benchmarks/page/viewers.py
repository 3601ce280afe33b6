"""What 32 viewers of the page cost: predictions a second and the time of a scrape, without and with them, in turn.

    viewers.py --command PROGRAM --server PROGRAM --models DIRECTORY

Runs in the environment of tests/end_to_end/kserve_requirements.txt, on a quiet machine.
"""
import http.client
import pathlib
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "end_to_end"))
import kserve_testing
from command_test import WAIT_S

import tritonclient.grpc as triton

VIEWERS, CLIENTS, SECONDS, ROUNDS = 32, 8, 5, 4


class Viewers(kserve_testing.KserveTest):
    admin_listen = "127.0.0.1:0"

    def watch(self, ended, read):
        while True:  # The places of the round before are free within a second or so.
            connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
            connection.request("GET", "/api/v1/events")
            response = connection.getresponse()
            if response.status == 200:
                break
            connection.close()
            time.sleep(0.1)
        while not ended.is_set():
            read.append(len(response.readline()))
        connection.close()

    def predict(self, ended, latencies):
        client = triton.InferenceServerClient(self.address)
        image = self.input(self.tensors[:1])
        while not ended.is_set():
            start = time.monotonic()
            client.infer(kserve_testing.MODEL, [image])
            latencies.append(time.monotonic() - start)
        client.close()

    def scrape(self):
        start = time.monotonic()
        connection = http.client.HTTPConnection(self.admin_address, timeout=WAIT_S)
        connection.request("GET", "/metrics")
        assert connection.getresponse().read()
        connection.close()
        return 1000 * (time.monotonic() - start)

    def round(self, viewers, busy):
        ended, latencies, read = threading.Event(), [], [[] for _ in range(viewers)]
        threads = [threading.Thread(target=self.watch, args=(ended, mine)) for mine in read]
        threads += [threading.Thread(target=self.predict, args=(ended, latencies)) for _ in range(CLIENTS * busy)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + WAIT_S
        while not all(read):
            assert time.monotonic() < deadline, "not all viewers have a place"
            time.sleep(0.05)
        time.sleep(1)
        latencies.clear()
        start, scrapes = time.monotonic(), []
        while time.monotonic() - start < SECONDS:
            scrapes.append(self.scrape())
            time.sleep(0.1)
        rate, latency = len(latencies) / (time.monotonic() - start), sorted(latencies)
        ended.set()
        for thread in threads:
            thread.join()
        return rate, 1000 * latency[int(0.99 * len(latency))] if latency else 0, scrapes

    def test_cost(self):
        self.json("evaluate", "--model", kserve_testing.MODEL, self.list)  # The page has something to show.
        for busy in (False, True):
            figures = {0: [], VIEWERS: []}
            for turn in range(2 * ROUNDS):
                viewers = (0, VIEWERS)[(turn + turn // 2) % 2]
                figures[viewers].append(self.round(viewers, busy))
            for viewers, rounds in figures.items():
                scrapes = sorted(ms for _, _, all_ms in rounds for ms in all_ms)
                print(f"| {CLIENTS * busy} | {viewers} | {statistics.median(rate for rate, _, _ in rounds):.0f} "
                      f"({min(r for r, _, _ in rounds):.0f} to {max(r for r, _, _ in rounds):.0f}) | "
                      f"{statistics.median(p99 for _, p99, _ in rounds):.1f} | {statistics.median(scrapes):.1f} | "
                      f"{scrapes[int(0.99 * len(scrapes))]:.1f} | {scrapes[-1]:.1f} |", flush=True)


if __name__ == "__main__":
    kserve_testing.main()
