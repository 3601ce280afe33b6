#!/usr/bin/env python3
"""Writes what an image is made of: a CycloneDX list, and every component's licence text.

    docker/make_sbom.py --image NAME --files ROOT --packages locked|newest --lock FILE

ROOT is what collect_files.sh made. Into its layer `calserve` go usr/share/doc/calserve/sbom.cdx.json, licences.tsv
(component, version, licences, file) and licences/COMPONENT, the texts. What our programs have from archives is among
them, with Debian's packages. FILE lists the Debian packages with their
versions; with `locked` a package that is not as listed ends the build. ROOT/packages.lock is the list as it is now.
"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

OURS = pathlib.Path(__file__).resolve().parents[1]
WHEELS = pathlib.Path.home() / ".cache/calserve/libtorch-2.15.0"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_of(path):
    """The Debian package that brought a file; dpkg may know it by the name without /usr."""
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "--search", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    sys.exit(f"make_sbom.py: no Debian package has {path}")


def purl(kind, name, version, qualifiers=""):
    return f"pkg:{kind}/{urllib.parse.quote(name, safe='')}@{urllib.parse.quote(version, safe='')}{qualifiers}"


def licences_in(copyright_text):
    """The short names of a machine-readable copyright file, else nothing."""
    if "copyright-format" not in copyright_text.split("\n\n")[0]:
        return []
    names = re.findall(r"^License:[ \t]*(\S.*)$", copyright_text, re.MULTILINE)
    return sorted(set(name.strip() for name in names))


def copyright_of(package, source):
    """The text that a package brings, or one built from the same source: a link to that may not be installed."""
    packages = [row.split("\t")[0] for row in output(
        "dpkg-query", "--show", "--showformat", "${Package}\t${source:Package}\n").splitlines()
        if row.split("\t")[1] == source]
    for name in (package, *packages):
        path = pathlib.Path(f"/usr/share/doc/{name}/copyright")
        if path.exists():
            return path.read_text(encoding="utf-8", errors="replace")
    sys.exit(f"make_sbom.py: no package of the source {source} brings a copyright file")


def debian_components(paths):
    for package in sorted(set(map(package_of, paths))):
        name, version, source, source_version, architecture = output(
            "dpkg-query", "--show",
            "--showformat", "${Package}\t${Version}\t${source:Package}\t${source:Version}\t${Architecture}",
            package).split("\t")
        text = copyright_of(name, source)
        yield {"name": name, "version": version, "text": text, "licences": licences_in(text) or ["see the text"],
               "supplier": "Debian", "purl": purl("deb/debian", name, version, f"?arch={architecture}"),
               "properties": {"debian:source": f"{source} {source_version}"}}


def wheel_components(paths):
    """One a wheel whose files the image has, by the RECORD of each."""
    for info in sorted(WHEELS.glob("*.dist-info")):
        recorded = {line.split(",")[0] for line in (info / "RECORD").read_text(encoding="utf-8").splitlines()}
        if not any(str(pathlib.Path(path).relative_to(WHEELS)) in recorded for path in paths):
            continue
        header = (info / "METADATA").read_text(encoding="utf-8").split("\n\n")[0]
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", header, re.MULTILINE))
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in sorted(info.rglob("*"))
                 if file.is_file() and re.match(r"(licen[cs]e|notice|copying)", file.name, re.IGNORECASE)]
        name, version = fields["Name"], fields["Version"]
        licence = fields.get("License-Expression") or fields.get("License") or "see the text"
        if not texts:
            texts = [f"The wheel of {name} {version} brings no licence text; its metadata, whole:\n\n{header}\n"]
        yield {"name": name, "version": version, "text": "\n\n".join(texts), "licences": [licence],
               "supplier": fields.get("Author", "unknown"), "purl": purl("pypi", name, version), "properties": {}}


def our_component(version):
    return {"name": "calserve", "version": version, "text": (OURS / "LICENSE").read_text(encoding="utf-8"),
            "licences": ["Apache-2.0"], "supplier": "calserve", "purl": purl("generic", "calserve", version),
            "properties": {}}


def as_cyclonedx(component, kind):
    return {"type": kind, "bom-ref": component["purl"], "name": component["name"], "version": component["version"],
            "supplier": {"name": component["supplier"]}, "purl": component["purl"],
            "licenses": [{"license": {"name": name}} for name in component["licences"]],
            "properties": [{"name": name, "value": value} for name, value in component["properties"].items()]}


def bill_of_materials(image, ours, components, files):
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": f"calserve-{image}", "name": f"calserve-{image}",
                                   "version": ours["version"]}},
        "components": [as_cyclonedx(ours, "application"), *(as_cyclonedx(each, "library") for each in components),
                       *files],
    }


def file_components(root):
    """Each program and library of the image with its digest, so that a scanner can hold the image against the list."""
    for path in sorted(root.glob("*/usr/**/*")):
        if path.is_symlink() or not path.is_file():
            continue
        name = "/" + str(path.relative_to(root / path.relative_to(root).parts[0]))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield {"type": "file", "bom-ref": f"file:{name}", "name": name,
               "hashes": [{"alg": "SHA-256", "content": digest}]}


def check_lock(options, packages):
    """Holds the Debian packages against the list in the repository."""
    now = "".join(f"{each['name']}={each['version']}\n" for each in packages)
    (options.files / "packages.lock").write_text(now, encoding="utf-8")
    if options.packages == "newest":
        return
    locked = options.lock.read_text(encoding="utf-8") if options.lock.exists() else ""
    if differing := sorted(set(now.splitlines()) ^ set(locked.splitlines())):
        sys.exit(f"make_sbom.py: packages differ from {options.lock}: {' '.join(differing)}\n"
                 "Build with --build-arg PACKAGES=newest to take them, and renew the list as docs/images.md says.")


def write(options, ours, components):
    doc = options.files / "calserve/usr/share/doc/calserve"
    (doc / "licences").mkdir(parents=True)
    rows = ["component\tversion\tlicences\ttext"]
    for each in (ours, *components):
        (doc / "licences" / each["name"]).write_text(each["text"], encoding="utf-8")
        rows.append("\t".join((each["name"], each["version"], ", ".join(each["licences"]),
                               f"licences/{each['name']}")))
    (doc / "licences.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    bill = bill_of_materials(options.image, ours, components, list(file_components(options.files)))
    (doc / "sbom.cdx.json").write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", required=True)
    parser.add_argument("--files", required=True, type=pathlib.Path)
    parser.add_argument("--packages", required=True, choices=("locked", "newest"))
    parser.add_argument("--lock", required=True, type=pathlib.Path)
    options = parser.parse_args()
    rows = [line.split("\t") for line in (options.files / "files.tsv").read_text(encoding="utf-8").splitlines()]
    version = re.search(r"project\(calserve VERSION (\S+)", (OURS / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
    packages = list(debian_components(path for layer, _, path in rows if layer == "debian"))
    check_lock(options, packages)
    wheels = list(wheel_components([path for layer, _, path in rows if layer != "debian"]))
    write(options, our_component(version), [*packages, *wheels])


if __name__ == "__main__":
    main()
