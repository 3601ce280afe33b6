"""What of tools/export_model.py needs no torch: its arguments, model.yaml, labels.txt, and the directory's appearing."""

import contextlib
import enum
import io
import json
import pathlib
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import export_model
from model_export import ExportError, arguments, directory, image_input

OWN = ["--module", "model:Net", "--labels", "labels.txt", "--input-size", "64", "48", "--output", "models/net"]


class InterpolationMode(enum.Enum):
    BILINEAR = "bilinear"
    LANCZOS = "lanczos"


class ImageClassification(types.SimpleNamespace):
    """The attributes of torchvision's preset of that name; those of ResNet-18."""

    def __init__(self, **changes):
        super().__init__(
            **(
                dict(
                    crop_size=[224],
                    resize_size=[256],
                    mean=[0.485, 0.456, 0.406],
                    std=[0.229, 0.224, 0.225],
                    interpolation=InterpolationMode.BILINEAR,
                    antialias=True,
                )
                | changes
            )
        )


def parse(*argv):
    args = arguments.parser().parse_args(argv)
    arguments.check(args)
    return args


class Arguments(unittest.TestCase):
    def refusal(self, *argv):
        with self.assertRaises(ExportError) as raised:
            parse(*argv)
        return str(raised.exception)

    def test_help_teaches_by_examples_and_names_the_exit_status(self):
        text = arguments.parser().format_help()
        for word in ("--torchvision resnet18", "--module model:Net", "exit status", "logit of\nthe second label"):
            self.assertIn(word, text)

    def test_a_model_comes_from_one_place(self):
        for argv in (["--output", "x"], ["--output", "x", "--module", "a:b", "--torchvision", "resnet18"]):
            with self.assertRaises(SystemExit) as raised, contextlib.redirect_stderr(io.StringIO()):
                export_model.main(argv)
            self.assertEqual(raised.exception.code, export_model.USAGE)

    def test_wrong_usage_is_exit_status_2_with_the_rule_and_the_value(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self.assertEqual(export_model.main([*OWN, "--max-batch-size", "0"]), export_model.USAGE)
        self.assertIn("--max-batch-size is from 1 to 65536; was 0", errors.getvalue())

    def test_a_flag_of_the_other_kind_of_model_is_refused(self):
        self.assertIn("--weights FILE", self.refusal("--torchvision", "resnet18", "--state-dict", "a.pth", "--output", "x"))
        self.assertIn("--state-dict FILE", self.refusal(*OWN, "--weights", "none"))

    def test_a_module_needs_a_factory_labels_and_an_input(self):
        self.assertIn("was model", self.refusal("--module", "model", "--output", "x"))
        self.assertIn("needs --labels", self.refusal("--module", "model:Net", "--output", "x"))
        self.assertIn("needs --input-size", self.refusal("--module", "model:Net", "--labels", "l", "--output", "x"))

    def test_a_model_of_tensors_has_no_images(self):
        own = ["--module", "m:f", "--labels", "l", "--output", "x", "--input-shape", "16"]
        self.assertIn("has no resize, mean", self.refusal(*own, "--mean", "0", "--resize", "8"))
        self.assertIn("has no --sample-image", self.refusal(*own, "--sample-image", "a.png"))
        self.assertEqual(arguments.resolve_input(parse(*own)).shape, (16,))

    def test_the_name_the_version_and_the_device_are_ones_that_the_server_takes(self):
        self.assertIn("was '.hidden'", self.refusal(*OWN[:-1], "models/.hidden"))
        self.assertIn("was 'a b'", self.refusal(*OWN[:-1], "models/a b"))
        self.assertIn("was 0", self.refusal(*OWN, "--model-version", "0"))
        self.assertIn("was gpu", self.refusal(*OWN, "--device", "gpu"))

    def test_two_labels_are_a_binary_task_unless_told(self):
        self.assertEqual(arguments.resolve_task(parse(*OWN), ["cat", "dog"]), "binary")
        self.assertEqual(arguments.resolve_task(parse(*OWN), ["cat", "dog", "cow"]), "multiclass")
        self.assertEqual(arguments.resolve_task(parse(*OWN, "--task", "multiclass"), ["cat", "dog"]), "multiclass")
        with self.assertRaisesRegex(ExportError, "has 3"):
            arguments.resolve_task(parse(*OWN, "--task", "binary"), ["cat", "dog", "cow"])


class Input(unittest.TestCase):
    def test_the_weights_transforms_become_model_yaml(self):
        self.assertEqual(
            list(image_input.from_preset(ImageClassification()).yaml_lines()),
            [
                "kind: image",
                "size: [224, 224]",
                "color: rgb",
                "transform: torchvision",
                "resize: 256",
                "crop: center",
                "interpolation: bilinear",
                "scale: true",
                "mean: [0.485, 0.456, 0.406]",
                "std: [0.229, 0.224, 0.225]",
            ],
        )

    def test_two_numbers_are_an_exact_size(self):
        spec = image_input.from_preset(ImageClassification(crop_size=[64, 48], resize_size=[70, 50]))
        self.assertEqual((spec.size, spec.resize), ((64, 48), (70, 50)))

    def test_what_model_yaml_cannot_say_is_refused(self):
        for preset, said in (
            (ImageClassification(interpolation=InterpolationMode.LANCZOS), "lanczos"),
            (ImageClassification(antialias=False), "antialias=False"),
            (ImageClassification(antialias=None), "antialias=None"),
            (types.SimpleNamespace(), "SimpleNamespace"),
        ):
            with self.assertRaisesRegex(ExportError, said):
                image_input.from_preset(preset)

    def test_a_flag_wins_over_the_weights(self):
        args = parse("--torchvision", "resnet18", "--output", "x", "--resize", "232", "--no-scale", "--mean", "1", "2", "3")
        spec = arguments.resolve_input(args, ImageClassification())
        self.assertEqual((spec.resize, spec.scale, spec.mean, spec.std), (232, False, (1, 2, 3), (0.229, 0.224, 0.225)))

    def test_flags_alone_make_an_input(self):
        spec = arguments.resolve_input(
            parse(*OWN, "--color", "grey", "--resize", "64", "48", "--crop", "none", "--std", "0.5")
        )
        self.assertEqual(spec.shape, (1, 64, 48))
        self.assertEqual((spec.resize, spec.crop, spec.std), ((64, 48), "none", (0.5,)))

    def test_the_rules_of_the_server_hold(self):
        for changes, said in (
            ({"resize": 70, "crop": "none"}, "keeps the aspect ratio"),
            ({"resize": (70, 70), "crop": "none"}, "equal to size"),
            ({"interpolation": "area"}, "needs transform opencv"),
            ({"mean": (0.5,)}, r"one value a channel \(3\); has 1"),
            ({"std": (1, 0, 1)}, "> 0"),
            ({"std": (1, float("nan"), 1)}, "finite"),
            ({"resize": 0}, "from 1 to 16384; was 0"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(ExportError, said):
                image_input.ImageInput(size=(64, 64), **changes)


class Directory(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.models = pathlib.Path(scratch.name)
        self.spec = image_input.ImageInput(size=(8, 8))

    def yaml(self, **changes):
        return directory.model_yaml(
            **(dict(task="binary", model_input=self.spec, max_batch_size=32, device="cpu", compiled=True) | changes)
        )

    def model(self, yaml=None):
        (self.models / "net" / "1").mkdir(parents=True)
        (self.models / "net" / "labels.txt").write_text("cat\ndog\n")
        (self.models / "net" / "model.yaml").write_text(yaml or self.yaml())
        return self.models / "net"

    def test_model_yaml_says_for_which_batches_a_package_was_compiled(self):
        self.assertIn("max_batch_size: 32  # the package was compiled for 1 to 32\ndevice: cpu\n", self.yaml())
        self.assertIn("max_batch_size: 32\ndevice: auto\n", self.yaml(compiled=False, device="auto"))

    def test_labels_are_what_the_server_takes(self):
        file = self.models / "labels.txt"
        file.write_bytes("chat\nchien à poil\n".encode())
        self.assertEqual(directory.read_labels(file), ["chat", "chien à poil"])
        for text, said in (
            ("a\n\nb\n", ":2: "),
            ("a\n b\n", ":2: "),
            ("a\nb\na\n", ":3: 'a' is already on line 1"),
            ("a\n", "at least 2 labels; has 1"),
            ("a\nb\x1b[31m\n", "control characters"),
            ("a\nb\u202ec\n", "control characters"),
        ):
            file.write_text(text)
            with self.subTest(text), self.assertRaisesRegex(ExportError, said):
                directory.read_labels(file)
        with self.assertRaisesRegex(ExportError, "cannot read the labels"):
            directory.read_labels(self.models / "none")

    def test_a_directory_appears_whole(self):
        with directory.staged(self.models / "net") as folder:
            (folder / "model.yaml").write_text("task: binary\n")
            self.assertEqual([p.name[0] for p in self.models.iterdir()], ["."])
        self.assertEqual(
            [str(p.relative_to(self.models)) for p in sorted(self.models.rglob("*"))], ["net", "net/model.yaml"]
        )

    def test_nothing_is_left_of_one_that_failed(self):
        for error in (ExportError("no"), KeyboardInterrupt(), SystemExit(143)):
            with self.assertRaises(type(error)), directory.staged(self.models / "net") as folder:
                (folder / "model.yaml").write_text("task: binary\n")
                raise error
            self.assertEqual(list(self.models.iterdir()), [])

    def test_a_new_version_must_fit_the_model(self):
        net = self.model()
        directory.check_target(self.models / "other", 1, self.yaml(), ["a", "b"])
        directory.check_target(net, 2, self.yaml(), ["cat", "dog"])
        other = image_input.ImageInput(size=(8, 8), color="bgr")
        for version, yaml, labels, said in (
            (1, self.yaml(), ["cat", "dog"], "already there"),
            (2, self.yaml(), ["dog", "cat"], "other labels"),
            (2, self.yaml(model_input=other), ["cat", "dog"], "another input"),
            (2, self.yaml(device="cuda"), ["cat", "dog"], "another device"),
            (2, self.yaml(task="multiclass"), ["cat", "dog"], "another task"),
            (2, self.yaml(max_batch_size=16), ["cat", "dog"], "--max-batch-size 32; was 16"),
        ):
            with self.subTest(said), self.assertRaisesRegex(ExportError, said):
                directory.check_target(net, version, yaml, labels)

    def test_torchscript_goes_beside_a_package_of_any_device_and_batch(self):
        net = self.model()
        yaml = self.yaml(device="auto", max_batch_size=8, compiled=False)
        directory.check_target(net, 2, yaml, ["cat", "dog"], compiled=False)

    def test_what_a_user_added_to_model_yaml_stays_out_of_the_comparison(self):
        net = self.model("# tuned\n" + self.yaml().replace("device: cpu", "device: cpu  # ours\ninstances: 2"))
        directory.check_target(net, 2, self.yaml(), ["cat", "dog"])

    def test_a_folder_that_is_no_model_is_left_alone(self):
        (self.models / "net").mkdir()
        with self.assertRaisesRegex(ExportError, "no model directory"):
            directory.check_target(self.models / "net", 1, self.yaml(), ["cat", "dog"])

    def test_expected_json_keeps_names_and_numbers(self):
        samples = [{"file": "a.npy", "logits": [1e-05, -2.5], "top_classes": ["chien à poil"]}]
        text = directory.expected_json(samples, absolute=0.002)
        self.assertIn("chien à poil", text)
        self.assertEqual(
            json.loads(text), {"format": 1, "tolerance": {"absolute": 0.002, "relative": 0.001}, "samples": samples}
        )
        with self.assertRaises(ValueError):
            directory.expected_json([{"file": "a.npy", "logits": [float("nan")]}], 0.001)


class Imports(unittest.TestCase):
    def test_nothing_here_needed_torch(self):
        self.assertNotIn("torch", sys.modules)


if __name__ == "__main__":
    unittest.main()
