"""Backup and restore as docs/operations.md has them, on a calserve-server that is in use.

    backup_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import pathlib
import shutil
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import command_test
from command_test import IMAGES, MODEL, LiveServerTest


class BackingUp(LiveServerTest):
    def test_a_restored_store_has_its_labels_and_opens_tickets_that_were_sealed_before(self):
        self.json("evaluate", "--model", MODEL, self.list)
        ticket = self.predict(self.images[0])["ticket"]
        data, backup = self.scratch / "data", self.scratch / "backup"
        backup.mkdir(mode=0o700)
        with sqlite3.connect(data / "calserve.db") as store, sqlite3.connect(backup / "calserve.db") as copy:
            store.backup(copy)
        shutil.copy2(data / "ticket_keys", backup)
        self.json("feedback", "--ticket", ticket, "--label", self.labels[0])  # after the backup

        self.server.kill()
        self.server.wait()
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        self.start_server()
        self.assertEqual(self.labels_known(), IMAGES)
        self.json("feedback", "--ticket", ticket, "--label", self.labels[0])
        self.assertEqual(self.labels_known(), IMAGES + 1)


if __name__ == "__main__":
    command_test.main()
