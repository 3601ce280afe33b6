"""The rows of a batch get what they get alone: real images through a live calserve-server, in both file formats.

    kserve_batches_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import concurrent.futures
import shutil

import numpy

import command_test
import kserve_testing
from kserve_testing import MODEL, ROOT, KserveTest

MAX_ROWS = 32  # max_batch_size of the models
TOLERANCE = 1e-5  # of a probability; of a logit beyond 1 in size (the demo's reach 53), relative
GATHERED = (1, 2, 3, 4, 5, 7, 10)  # rows of requests that fill one batch
FILES = {"torchscript": (MODEL, "model.pt"), "aotinductor": (MODEL + "_pt2", "model.pt2")}


class Batches(KserveTest):
    """Each format twice: a request is a batch of its own, or waits until there are MAX_ROWS rows."""

    @classmethod
    def models(cls):
        repository = cls.scratch / "models"
        for name, (source, file) in FILES.items():
            folder = command_test.OPTIONS.models if source == MODEL else ROOT / "tests/fixtures/models"
            for model in (name, f"{name}_gathering"):
                shutil.copytree(folder / source, repository / model)
                assert (repository / model / "1" / file).exists()
            with (repository / f"{name}_gathering" / "model.yaml").open("a", encoding="utf-8") as yaml:
                yaml.write("max_queue_delay: 10s\n")
        return repository

    def answers(self, model, begin, rows):
        """Probabilities and logits of test images, sent as PNG files."""
        answer = self.infer(self.files(self.pixels[begin:begin + rows]), model=model)
        return answer.as_numpy("probabilities"), answer.as_numpy("logits")

    def alone(self, model, rows):
        singles = [self.answers(model, i, 1) for i in range(rows)]
        return tuple(numpy.concatenate(part) for part in zip(*singles))

    def batches(self, model):
        """How many batches of each size have run."""
        statistics = self.client.get_inference_statistics(model).model_stats[0]
        return {batch.batch_size: batch.compute_infer.count for batch in statistics.batch_stats}

    def assert_same(self, together, alone):
        for got, expected in zip(together, alone):
            allowed = TOLERANCE * numpy.maximum(1, abs(expected))  # of a probability: TOLERANCE
            self.assertLess((abs(got - expected) / allowed).max(), 1)

    def test_rows_of_a_request_get_what_they_get_alone(self):
        for model in FILES:
            alone = self.alone(model, 2 * MAX_ROWS)
            self.assertEqual(len({row.tobytes() for row in alone[0]}), 2 * MAX_ROWS, "no two images have one answer")
            for rows in range(2, MAX_ROWS + 1):
                with self.subTest(model, rows=rows):
                    self.assert_same(self.answers(model, rows, rows), [part[rows:2 * rows] for part in alone])
            self.assertEqual(self.batches(model), {1: 2 * MAX_ROWS, **dict.fromkeys(range(2, MAX_ROWS + 1), 1)})

    def test_rows_of_requests_that_share_a_batch_get_what_they_get_alone(self):
        self.assertEqual(sum(GATHERED), MAX_ROWS)
        begins = [sum(GATHERED[:i]) for i in range(len(GATHERED))]
        for model in FILES:
            alone = self.alone(model, MAX_ROWS)
            gathering = f"{model}_gathering"
            with concurrent.futures.ThreadPoolExecutor(len(GATHERED)) as callers:
                together = list(callers.map(lambda begin, rows: self.answers(gathering, begin, rows), begins, GATHERED))
            self.assertEqual(self.batches(gathering), {MAX_ROWS: 1})
            for begin, rows, answer in zip(begins, GATHERED, together):
                with self.subTest(model, rows=rows):
                    self.assert_same(answer, [part[begin:begin + rows] for part in alone])


if __name__ == "__main__":
    kserve_testing.main()
