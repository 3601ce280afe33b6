"""The table of rooms: who may use whom, and which outside library is used where. As docs and CMake have it."""

import dataclasses
from typing import Dict, Tuple


@dataclasses.dataclass(frozen=True)
class Room:
    rooms: Tuple[str, ...] = ()  # of ours; "feedback:tickets.h" allows that header alone
    libraries: Tuple[str, ...] = ()  # Abseil and the system's headers are allowed everywhere


SERVER = ("base", "telemetry", "logging", "imaging", "batching", "model", "feedback", "monitoring", "prediction",
          "recalibration", "access", "rpc", "http", "config")
EVERYTHING = SERVER + ("calibration", "calibration_io", "proto", "client", "text")

ROOMS: Dict[str, Room] = {
    "calibration": Room((), ("eigen", "nlopt")),
    "calibration_io": Room(("calibration", "proto"), ("protobuf", "json")),
    "text": Room(),
    "base": Room(),
    "telemetry": Room(("base",)),
    "logging": Room(("text", "base"), ("spdlog",)),
    "imaging": Room(("base", "telemetry"), ("jpeg", "png", "webp", "opencv", "torch")),
    "batching": Room(("base", "telemetry")),
    "model": Room(("base", "telemetry", "logging"), ("torch", "sodium", "minizip")),
    "feedback": Room(("base", "telemetry", "logging", "calibration", "calibration_io"), ("sqlite", "sodium")),
    "monitoring": Room(("base", "telemetry", "calibration", "feedback:half_float.h", "feedback:log_pages.h",
                        "feedback:scored_label.h", "feedback:store.h")),
    "prediction": Room(("text", "base", "telemetry", "imaging", "batching", "model", "calibration",
                        "feedback:half_float.h", "feedback:scored_label.h", "feedback:tickets.h")),
    "recalibration": Room(("base", "telemetry", "logging", "calibration", "calibration_io", "feedback", "monitoring"),
                          ("sodium",)),
    "access": Room(("base", "telemetry", "logging"), ("sodium", "rhonabwy", "openssl", "spdlog")),
    "rpc": Room(("calibration", "calibration_io", "proto", "base", "telemetry", "imaging", "batching", "model",
                 "feedback", "monitoring", "prediction", "recalibration", "access", "logging"),
                ("grpc", "protobuf", "zlib")),
    "http": Room(("base", "telemetry", "logging", "access"), ("httplib", "openssl", "prometheus", "json")),
    "config": Room(SERVER + ("text", "calibration", "calibration_io:file.h", "calibration_io:npy.h"), ("yaml", "cli", "json")),
    "main": Room(SERVER + ("text", "calibration", "calibration_io")),
    "client": Room(("proto", "text", "calibration", "calibration_io"), ("grpc", "protobuf", "openssl", "cli", "json")),
    "examples": Room(("client", "calibration", "calibration_io"), ("cli", "json", "zlib", "png")),
    "tests": Room(EVERYTHING + ("main", "tests"), ("*",)),
}

# The folders of the rooms; the longest prefix counts.
FOLDERS: Dict[str, str] = {
    "calibration/": "calibration", "calibration_io/": "calibration_io", "client/": "client", "examples/": "examples",
    "tests/": "tests", "text/": "text", "server/": "main", "proto/": "proto", **{f"server/{room}/": room for room in SERVER}}

# How an outside library's headers start.
LIBRARIES: Dict[str, Tuple[str, ...]] = {
    "abseil": ("absl/",),
    "benchmark": ("benchmark/",),
    "cli": ("CLI/",),
    "eigen": ("Eigen/",),
    "grpc": ("grpc/", "grpcpp/"),
    "httplib": ("httplib.h",),
    "gtest": ("gtest/", "gmock/"),
    "jemalloc": ("jemalloc/",),
    "jpeg": ("turbojpeg.h", "jpeglib.h"),
    "json": ("nlohmann/",),
    "minizip": ("unzip.h", "zip.h"),
    "nlopt": ("nlopt.h",),
    "opencv": ("opencv2/",),
    "openssl": ("openssl/",),
    "png": ("spng.h",),
    "prometheus": ("prometheus/",),
    "protobuf": ("google/protobuf/",),
    "rhonabwy": ("rhonabwy.h", "jansson.h"),
    "sodium": ("sodium.h",),
    "spdlog": ("spdlog/",),
    "sqlite": ("sqlite3.h",),
    "torch": ("torch/", "ATen/", "c10/"),
    "webp": ("webp/",),
    "yaml": ("yaml-cpp/",),
    "zlib": ("zlib.h",),
}

# Headers that are slow to compile or clash with others' stay in these files, whatever room they are in.
ONLY_IN_FILES: Dict[str, str] = {
    "torch": r"server/model/torch_\w+\.(h|cc)|server/imaging/resize_torch\.cc|tests/.*\.cc",
}

# Generated from proto/: "calserve/v1/feedback.grpc.pb.h".
GENERATED = r"(calserve|google/rpc|inference)/.*\.pb\.h"

# Of libc and the kernel; C++'s own have no ".h".
SYSTEM = (r"[a-z_0-9]+|(sys|arpa|netinet|linux|net)/[a-z_]+\.h|"
          r"(cpuid|dlfcn|errno|fcntl|ifaddrs|limits|math|netdb|poll|pthread|pwd|sched|semaphore|signal|spawn|stdint|stdlib|string|"
          r"termios|time|unistd)\.h")

# CMake's names of what a target may link.
TARGETS: Dict[str, str] = {
    "CLI11::CLI11": "cli", "Eigen3::Eigen": "eigen", "NLopt::nlopt": "nlopt",
    "gRPC::grpc++": "grpc", "gRPC::grpc++_reflection": "grpc",
    "nlohmann_json::nlohmann_json": "json", "protobuf::libprotobuf": "protobuf", "spdlog::spdlog": "spdlog",
    "yaml-cpp": "yaml", "ZLIB::ZLIB": "zlib", "PkgConfig::HTTPLIB": "httplib", "PkgConfig::MINIZIP": "minizip", "OpenSSL::SSL": "openssl", "OpenSSL::Crypto": "openssl", "PkgConfig::RHONABWY": "rhonabwy", "PkgConfig::PROMETHEUS": "prometheus", "PkgConfig::SODIUM": "sodium", "PkgConfig::SPNG": "png",
    "PkgConfig::SQLITE": "sqlite", "PkgConfig::TURBOJPEG": "jpeg", "PkgConfig::WEBP": "webp",
    "calserve_opencv": "opencv", "calserve_torch": "torch",
}

# Rooms of more than one target.
TARGETS_OF_ROOMS: Dict[str, str] = {
    "imaging_decode": "imaging", "model_repository": "model", "model_torch": "model", "proto_grpc": "proto",
}
