#!/usr/bin/env python3
"""Holds every #include, and what every CMake target links, against the table of rooms in table.py.

Usage: check_includes.py [ROOT]. Prints a line for each thing that is not allowed; exit status 1 if there is one.
"""

import pathlib
import re
import sys

from table import (FOLDERS, GENERATED, LIBRARIES, ONLY_IN_FILES, ROOMS, SYSTEM, TARGETS, TARGETS_OF_ROOMS)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
MODULE = re.compile(r"calserve_module\(\s*(\w+)([^)]*)\)")


def room_of(path):
    """The room of a path from the root, or None."""
    folders = [folder for folder in FOLDERS if path.startswith(folder)]
    return FOLDERS[max(folders, key=len)] if folders else None


def library_of(header):
    for library, starts in LIBRARIES.items():
        if header.startswith(starts):
            return library
    return None


def may_use_room(room, header, other):
    name = header.rsplit("/", 1)[-1]
    return room == other or other in ROOMS[room].rooms or f"{other}:{name}" in ROOMS[room].rooms


def may_use_library(room, library):
    return library == "abseil" or library in ROOMS[room].libraries or "*" in ROOMS[room].libraries


def fault_of_include(root, path, room, bracket, header):
    """What is wrong with one #include, or None."""
    if re.fullmatch(GENERATED, header):
        if not may_use_room(room, header, "proto"):
            return f"{room} may not use proto"
        if ".grpc.pb.h" in header and not may_use_library(room, "grpc"):
            return f"{room} may not use grpc"
        return None
    library = library_of(header)
    if library:
        if not may_use_library(room, library):
            return f"{room} may not use {library}"
        if library in ONLY_IN_FILES and not re.fullmatch(ONLY_IN_FILES[library], path):
            return f"{library} stays in {ONLY_IN_FILES[library]}"
        return None
    if bracket == "<":
        return None if re.fullmatch(SYSTEM, header) else "unknown header: name its library in table.py"
    if not (root / header).is_file():
        return "no such file from the root of the tree"
    other = room_of(header)
    if other is None or not may_use_room(room, header, other):
        return f"{room} may not use {other}"
    return None


def faults_of_source(root, path):
    room = room_of(path)
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        include = INCLUDE.match(line)
        if include:
            fault = fault_of_include(root, path, room, *include.groups())
            if fault:
                yield f"{path}:{number}: {include.group(2)}: {fault}"


def faults_of_cmake(root, path):
    """What a room's CMakeLists.txt links beyond what the room may use."""
    room = room_of(path)
    text = re.sub(r"#.*", "", (root / path).read_text(encoding="utf-8"))
    for name, arguments in MODULE.findall(text):
        if TARGETS_OF_ROOMS.get(name, name) != room:
            yield f"{path}: module {name} is not in the folder of its room"
        deps = re.search(r"\bDEPS\b(.*?)(\bLIBS\b|\bSRCS\b|$)", arguments, re.DOTALL)
        for dep in deps.group(1).split() if deps else ():
            other = TARGETS_OF_ROOMS.get(dep, dep)
            allowed = {entry.split(":")[0] for entry in ROOMS[room].rooms} | {room}
            if other not in allowed:
                yield f"{path}: DEPS of {name}: {room} may not use {other}"
    for word in re.findall(r"[\w:+-]+", text):
        if word in TARGETS and not may_use_library(room, TARGETS[word]):
            yield f"{path}: {word}: {room} may not use {TARGETS[word]}"


def faults_of_tree(root):
    for folder in ("calibration", "calibration_io", "client", "examples", "server", "tests", "text"):
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix in (".h", ".cc"):
                yield from faults_of_source(root, path)
            elif file.name == "CMakeLists.txt" and room_of(path) not in ("main", "tests", "examples"):
                yield from faults_of_cmake(root, path)


def main(arguments):
    root = pathlib.Path(arguments[1] if len(arguments) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    faults = list(faults_of_tree(root))
    print("\n".join(faults) if faults else "layering: no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
