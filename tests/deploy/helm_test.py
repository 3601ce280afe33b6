"""The Helm chart: linted, rendered and held against goldens and Kubernetes's schemas. Exits with 77 without helm.

    helm_test.py --tools DIRECTORY --server PROGRAM [--update] [unittest's arguments]

--update writes the goldens anew: look at their difference before it is committed.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HELM = "helm.sh/helm/v3/cmd/helm@v3.19.2"
SKIPPED = 77
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "deploy/helm/calserve"
VALUES = sorted((HERE / "helm/values").glob("*.yaml"))
KUBERNETES = "1.34"
# Of operators: Kubernetes's own schemas do not have them.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}
OPTIONS = argparse.Namespace()


def skip(reason):
    print("SKIPPED:", reason)
    sys.exit(SKIPPED)


def find_helm(tools):
    """Of the machine, or built once into `tools`."""
    built = tools.absolute() / "helm"
    if found := (built.exists() and str(built)) or shutil.which("helm"):
        return found
    if not shutil.which("go"):
        skip("no helm, and no Go to build it with")
    install = subprocess.run(["go", "install", HELM], env={**os.environ, "GOBIN": str(built.parent)}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if install.returncode != 0:
        skip(f"go install {HELM} failed:\n{install.stdout}")
    return str(built)


def helm(*words):
    return subprocess.run([OPTIONS.helm, *map(str, words)], capture_output=True, text=True, check=False)


def render(*words):
    done = helm("template", "demo", CHART, "--namespace", "vision", "--kube-version", KUBERNETES, *words)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def taken_by_the_server(*flags, environment=()):
    """What calserve-server says to a command line: nothing is wrong, or what is."""
    done = subprocess.run([OPTIONS.server.absolute(), *flags, "--print-config"], env=dict(environment),
                          capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def golden(values):
    return HERE / "helm/goldens" / values.name


class Chart(unittest.TestCase):
    maxDiff = None

    def each(self):
        self.assertGreaterEqual(len(VALUES), 3)
        for values in VALUES:
            with self.subTest(values.name):
                yield values

    def documents(self, values):
        return [document for document in yaml.safe_load_all(render("--values", values)) if document]

    def pod(self, values):
        stateful, = (each for each in self.documents(values) if each["kind"] == "StatefulSet")
        return stateful["spec"]["template"]["spec"]

    def test_it_has_no_lint(self):
        for values in self.each():
            done = helm("lint", "--strict", CHART, "--values", values)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_it_is_rendered_as_the_goldens_say(self):
        for values in self.each():
            self.assertEqual(render("--values", values), golden(values).read_text(encoding="utf-8"))

    def test_kubernetes_takes_it(self):
        program = pathlib.Path(sys.executable).parent / "kubernetes-validate"
        for values in self.each():
            own = [document for document in self.documents(values) if document["kind"] not in FOREIGN]
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump_all(own, file)
                file.flush()
                done = subprocess.run([program, "--kubernetes-version", KUBERNETES, "--strict", file.name],
                                      capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_server_takes_its_configuration(self):
        for values in self.each():
            config = next(each for each in self.documents(values) if each["kind"] == "ConfigMap")
            container, = self.pod(values)["containers"]
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(config["data"]["calserve.yaml"])
                file.flush()
                flags = [flag.replace("/etc/calserve/calserve.yaml", file.name) for flag in container["args"]]
                environment = [(variable["name"], variable["value"]) for variable in container["env"]]
                self.assertIsNone(taken_by_the_server(*flags, environment=environment))

    def test_its_containers_may_do_nothing(self):
        for values in self.each():
            pod = self.pod(values)
            self.assertEqual((pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]),
                             (65532, True))
            self.assertFalse(pod["automountServiceAccountToken"])
            for container in pod["containers"] + pod.get("initContainers", []):
                security = container["securityContext"]
                self.assertTrue(security["readOnlyRootFilesystem"])
                self.assertFalse(security["allowPrivilegeEscalation"])
                self.assertEqual(security["capabilities"], {"drop": ["ALL"]})

    def test_every_pod_keeps_the_restricted_profile(self):
        """https://kubernetes.io/docs/concepts/security/pod-security-standards, the test's pod included."""
        allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
                   "projected", "secret"}
        for values in self.each():
            pods = [each for each in self.documents(values) if each["kind"] == "Pod"]
            for pod in (self.pod(values), *(each["spec"] for each in pods)):
                security = pod["securityContext"]
                self.assertTrue(security["runAsNonRoot"])
                self.assertNotEqual(security["runAsUser"], 0)
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                for host in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertFalse(pod.get(host))
                for volume in pod.get("volumes", ()):
                    self.assertLessEqual(set(volume) - {"name"}, allowed)
                for container in pod["containers"] + pod.get("initContainers", []):
                    self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
                    self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])
                    self.assertFalse(container["securityContext"]["privileged"])
                    self.assertFalse([port for port in container.get("ports", ()) if "hostPort" in port])

    def test_its_series_have_the_job_that_the_rules_go_by(self):
        """The job is a label's value of the service, not the release's name."""
        rules = (ROOT / "deploy/prometheus/calserve.rules.yaml").read_text(encoding="utf-8")
        jobs = set(re.findall(r'job=~"([^"]*)"', rules))
        self.assertEqual(len(jobs), 1)
        monitors = 0
        for values in self.each():
            documents = self.documents(values)
            service = next(each for each in documents if each["kind"] == "Service")
            for monitor in (each for each in documents if each["kind"] == "ServiceMonitor"):
                self.assertRegex(service["metadata"]["labels"][monitor["spec"]["jobLabel"]], jobs.copy().pop())
                monitors += 1
        self.assertGreater(monitors, 0)

    def test_the_pod_of_helm_test_is_let_in_where_others_are_named(self):
        documents = [each for each in yaml.safe_load_all(render(
            "--set", "models.pvc=models", "--set-json", 'networkPolicy.grpcFrom=[{"ipBlock":{"cidr":"10.0.0.0/8"}}]'))
            if each]
        test, = (each for each in documents if each["kind"] == "Pod")
        policy, = (each for each in documents if each["kind"] == "NetworkPolicy")
        admitted = [peer["podSelector"]["matchLabels"] for rule in policy["spec"]["ingress"] for peer in rule["from"]
                    if peer.get("podSelector", {}).get("matchLabels") and rule["ports"][0]["port"] == "grpc"]
        self.assertTrue(any(labels.items() <= test["metadata"]["labels"].items() for labels in admitted), admitted)

    def test_a_drain_fits_into_the_grace_period(self):
        values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
        for each in self.each():
            self.assertGreater(self.pod(each)["terminationGracePeriodSeconds"],
                               values["lameDuckSeconds"] + values["drainSeconds"])

    def test_wrong_values_are_refused(self):
        for words in (("--set", "replica=2"), ("--set", "replicas=two"), (), ("--set", "models.image=a:1"),
                      ("--set", "tls.enabled=true")):
            pvc = ("--set", "models.pvc=models") if words else ()
            self.assertNotEqual(helm("template", "demo", CHART, *pvc, *words).returncode, 0, words)

    def test_its_rules_and_dashboard_are_those_of_deploy(self):
        for own, common in (("calserve.rules.yaml", "prometheus"), ("calserve.json", "grafana")):
            self.assertEqual((CHART / "files" / own).read_bytes(), (ROOT / "deploy" / common / own).read_bytes())


class Runtime(unittest.TestCase):
    def test_the_serving_runtime_is_a_pod_that_kubernetes_takes(self):
        runtime = yaml.safe_load((ROOT / "deploy/kserve/clusterservingruntime.yaml").read_text(encoding="utf-8"))
        self.assertEqual(runtime["spec"]["protocolVersions"], ["grpc-v2"])
        container, = runtime["spec"]["containers"]
        self.assertEqual((container["name"], container["ports"][0]["name"]), ("kserve-container", "h2c"))
        self.assertIsNone(taken_by_the_server(*container["args"]))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runtime"},
               "spec": {key: runtime["spec"][key] for key in ("containers", "volumes")}}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(pod, file)
            file.flush()
            done = subprocess.run([pathlib.Path(sys.executable).parent / "kubernetes-validate",
                                   "--kubernetes-version", KUBERNETES, "--strict", file.name],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    PARSER.add_argument("--tools", required=True, type=pathlib.Path)
    PARSER.add_argument("--server", required=True, type=pathlib.Path)
    PARSER.add_argument("--update", action="store_true")
    REST = PARSER.parse_known_args(namespace=OPTIONS)[1]
    OPTIONS.helm = find_helm(OPTIONS.tools)
    if OPTIONS.update:
        for VALUE in VALUES:
            golden(VALUE).write_text(render("--values", VALUE), encoding="utf-8")
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
