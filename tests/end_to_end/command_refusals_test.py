"""What the calserve command refuses, and what it says of what is not there. The server is live, as in command_test.py.

    command_refusals_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import os
import subprocess

import command_test
from command_test import MODEL, REFUSED, WAIT_S, die_with_the_test


class Refusing(command_test.LiveServerTest):
    def test_what_never_ends_is_refused_with_the_limit(self):
        images = self.scratch / "endless.csv"
        images.write_text("path,label\n/dev/zero,Bag\n", encoding="utf-8")
        for arguments, says in ((["predict", "/dev/zero"], "/dev/zero is larger than the limit of 64 MiB"),
                                (["evaluate", "/dev/zero"], "/dev/zero is larger than the limit of 64 MiB"),
                                (["evaluate", images], "/dev/zero is not a file"),
                                (["fit", "--model", MODEL, "--images", images], "/dev/zero is not a file"),
                                (["feedback", "/dev/zero"], "line 1 of /dev/zero is larger than the limit of 16 MiB")):
            with self.subTest(arguments=arguments):
                self.assertIn(says, self.calserve(*arguments, exits=REFUSED)[1])
        folder = self.scratch / "large" / "Bag"
        folder.mkdir(parents=True)
        for i in range(17):
            with (folder / f"{i}.png").open("wb") as file:
                file.truncate(64 << 20)  # takes no room on the disk
        _, err = self.calserve("fit", "--model", MODEL, "--images", folder.parent, exits=REFUSED)
        self.assertIn(f"the set of images {folder.parent} is larger than the limit of 1 GiB", err)
        pipe = self.scratch / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["sh", "-c", f"exec yes > {pipe}"], preexec_fn=die_with_the_test) as endless:
            _, err = self.calserve("predict", pipe, exits=REFUSED)
            self.assertIn(f"{pipe} is larger than the limit of 64 MiB", err)
            self.assertNotEqual(endless.wait(WAIT_S), 0)


if __name__ == "__main__":
    command_test.main()
