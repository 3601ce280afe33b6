#!/usr/bin/env python3
"""Tests check_includes.py: a small tree that is right, and one seeded fault a test."""

import pathlib
import tempfile
import unittest

import check_includes

TREE = {
    "server/base/clock.h": "#include <string>\n#include <sys/stat.h>\n#include \"absl/time/time.h\"\n",
    "server/base/CMakeLists.txt": "calserve_module(base SRCS a.cc LIBS absl::time)\n",
    "server/feedback/store.h": '#include "server/base/clock.h"\n',
    "server/feedback/tickets.h": "",
    "server/feedback/sqlite.cc": "#include <sqlite3.h>\n",
    "server/feedback/CMakeLists.txt": "calserve_module(feedback SRCS a.cc DEPS base LIBS PkgConfig::SQLITE)\n",
    "server/prediction/predictor.cc": '#include "server/feedback/tickets.h"\n',
    "server/model/model.h": "",
    "server/model/torch_model.cc": "#include <torch/torch.h>\n",
    "server/rpc/status.cc": '#include <grpcpp/grpcpp.h>\n#include "calserve/v1/feedback.grpc.pb.h"\n',
    "server/main.cc": '#include "server/rpc/status.h"\n',
    "server/rpc/status.h": "",
    "client/client.h": "",
    "tests/unit/base/clock_test.cc": '#include <gtest/gtest.h>\n#include "server/base/clock.h"\n',
}


class CheckIncludesTest(unittest.TestCase):
    def faults(self, **changes):
        """Of the tree with changes: a file's path, with __ for / and _dot_ for the last dot, and its text."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            files = dict(TREE)
            for name, text in changes.items():
                files[name.replace("__", "/").replace("_dot_", ".")] = text
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            return list(check_includes.faults_of_tree(root))

    def assert_one_fault(self, expected, **changes):
        faults = self.faults(**changes)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(expected, faults[0])

    def test_a_tree_that_is_right_has_no_fault(self):
        self.assertEqual(self.faults(), [])

    def test_an_include_that_goes_up_is_named_with_its_line(self):
        self.assert_one_fault("server/base/clock.h:2: server/feedback/store.h: base may not use feedback",
                              server__base__clock_dot_h='#include <string>\n#include "server/feedback/store.h"\n')

    def test_a_header_of_a_room_that_is_open_in_part_is_refused(self):
        self.assert_one_fault("prediction may not use feedback",
                              server__prediction__predictor_dot_cc='#include "server/feedback/store.h"\n')

    def test_the_client_may_not_use_the_server(self):
        self.assert_one_fault("client may not use base", client__client_dot_h='#include "server/base/clock.h"\n')

    def test_an_outside_library_in_another_room_is_refused(self):
        self.assert_one_fault("base may not use sqlite", server__base__clock_dot_h="#include <sqlite3.h>\n")

    def test_torch_in_a_plain_header_is_refused(self):
        self.assert_one_fault("torch stays in", server__model__model_dot_h="#include <torch/torch.h>\n")

    def test_proto_types_above_rpc_are_refused(self):
        self.assert_one_fault("prediction may not use proto",
                              server__prediction__predictor_dot_cc='#include "calserve/v1/feedback.pb.h"\n')

    def test_an_include_that_is_not_from_the_root_is_refused(self):
        self.assert_one_fault("no such file", server__feedback__store_dot_h='#include "tickets.h"\n')

    def test_a_library_that_the_table_does_not_know_is_refused(self):
        self.assert_one_fault("unknown header", server__base__clock_dot_h="#include <boost/asio.hpp>\n")

    def test_a_target_that_depends_on_a_room_above_is_refused(self):
        self.assert_one_fault("DEPS of base: base may not use feedback",
                              server__base__CMakeLists_dot_txt="calserve_module(base SRCS a.cc DEPS feedback)\n")

    def test_a_target_that_links_another_rooms_library_is_refused(self):
        self.assert_one_fault("base may not use sqlite", server__base__CMakeLists_dot_txt=(
            "calserve_module(base SRCS a.cc)\ntarget_link_libraries(calserve_base PRIVATE PkgConfig::SQLITE)\n"))


if __name__ == "__main__":
    unittest.main()
