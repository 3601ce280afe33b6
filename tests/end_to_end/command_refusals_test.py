"""What the calserve command refuses, and what it says of what is not there. The server is live, as in command_test.py.

    command_refusals_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import os
import pathlib
import shutil

import command_test
from command_test import MODEL, OPTIONS, REFUSED


class Refusing(command_test.LiveServerTest):
    def test_what_never_ends_is_refused_with_the_limit(self):
        images = self.scratch / "endless.csv"
        images.write_text("path,label\n/dev/zero,Bag\n", encoding="utf-8")
        device = "/dev/zero is a device or a pipe; a regular file is needed, or - for standard input"
        for arguments, says in ((["predict", "/dev/zero"], device), (["evaluate", "/dev/zero"], device),
                                (["evaluate", images], "/dev/zero is not a file"),
                                (["fit", "--model", MODEL, "--images", images], "/dev/zero is not a file"),
                                (["feedback", "/dev/zero"], device)):
            with self.subTest(arguments=arguments):
                self.assertIn(says, self.calserve(*arguments, exits=REFUSED)[1])
        folder = self.scratch / "large" / "Bag"
        folder.mkdir(parents=True)
        for i in range(17):
            with (folder / f"{i}.png").open("wb") as file:
                file.truncate(64 << 20)  # takes no room on the disk
        _, err = self.calserve("fit", "--model", MODEL, "--images", folder.parent, exits=REFUSED)
        self.assertIn(f"the set of images {folder.parent} is larger than the limit of 1 GiB", err)
        for arguments, says in ((["predict", "-"], "standard input is larger than the limit of 64 MiB"),
                                (["feedback", "-"], "line 1 of standard input is larger than the limit of 16 MiB")):
            with self.subTest(arguments=arguments), open("/dev/zero", "rb") as endless:
                self.assertIn(says, self.calserve(*arguments, exits=REFUSED, stdin=endless)[1])
        pipe = self.scratch / "pipe"
        os.mkfifo(pipe)
        for command in ("predict", "feedback", "evaluate"):
            self.assertIn(f"{pipe} is a device or a pipe", self.calserve(command, pipe, exits=REFUSED)[1])

    def test_an_interval_that_no_server_takes_is_wrong_usage(self):
        for interval in ("0s", "9ms", "61m", "-1s"):
            with self.subTest(interval=interval):
                _, err = self.calserve("watch", f"--interval={interval}", exits=command_test.USAGE)
                self.assertIn(f"--interval must be 10ms to 1h; was {interval}", err)

    def test_watch_and_report_of_a_calibrator_that_does_not_exist_are_not_found(self):
        for command in (["watch", "--calibrator", "9"], ["report", "--calibrator-version", "9"],
                        ["report", "--stored", "--calibrator-version", "9"]):
            with self.subTest(command=command):
                _, err = self.calserve(*command, exits=REFUSED)
                self.assertIn(f"NOT_FOUND: model '{MODEL}' version 1 has no calibrator 9", err)


class NotReady(command_test.LiveServerTest):
    """One model serves; one was not loaded, one has a broken model.yaml."""
    server_flags = ["--repository-control", "explicit", "--repository-load", MODEL]

    @classmethod
    def models(cls):
        models = cls.scratch / "models"
        for name in (MODEL, "unloaded", "broken"):
            shutil.copytree(pathlib.Path(OPTIONS.models) / MODEL, models / name)
        (models / "broken" / "model.yaml").write_text("task: ranking\n", encoding="utf-8")
        return models

    def test_the_model_that_is_ready_is_the_default(self):
        answer, = self.json("predict", self.images[0])["predictions"]
        self.assertEqual(answer["model"], MODEL)

    def test_models_says_why_the_others_are_not_ready(self):
        table, _, reasons = self.calserve("models")[0].partition("\n\n")
        self.assertEqual([line.split()[:3] for line in table.splitlines()[1:] if MODEL in line], [[MODEL, "1", "READY"]])
        self.assertRegex(reasons, r"(?m)^unloaded/1 UNAVAILABLE: .+")
        self.assertRegex(reasons, r"(?m)^broken(/1 \S+)?: .*task must be")


class Failing(command_test.LiveServerTest):
    """The newest version cannot be loaded; the one before it serves."""
    server_flags = ["--repository-control", "poll"]

    @classmethod
    def models(cls):
        return cls.models_with_a_broken_version()

    def test_models_says_which_file_keeps_a_version_from_being_ready(self):
        table, _, reasons = self.calserve("models")[0].partition("\n\n")
        self.assertRegex(table, rf"(?m)^{MODEL} +2 +FAILED ")
        self.assertRegex(table, rf"(?m)^{MODEL} +1 +READY ")
        self.assertRegex(reasons, rf"(?m)^{MODEL}/2 FAILED: .*/{MODEL}/2/calibrator.json: malformed JSON")


if __name__ == "__main__":
    command_test.main()
