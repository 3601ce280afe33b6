"""What a client's image goes through before the model: the `input` section of model.yaml, as server/imaging has it."""

import dataclasses
import math

from model_export import ExportError

MAX_SIDE = 16384
MAX_VALUES = 2**30  # of one input of tensors
COLORS = ("rgb", "bgr", "grey")
TRANSFORMS = ("torchvision", "opencv")
CROPS = ("center", "none")
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "area")


def sides(value):
    """A number, or a list of one or two as torchvision has them: (number, None) or (height, width)."""
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) not in (1, 2) or not all(isinstance(n, int) and 1 <= n <= MAX_SIDE for n in numbers):
        raise ExportError(f"a size is one or two whole numbers from 1 to {MAX_SIDE}; was {value}")
    return numbers[0], numbers[1] if len(numbers) == 2 else None


@dataclasses.dataclass(frozen=True)
class ImageInput:
    """Decode to color, resize, crop, scale to 0..1, (pixel - mean) / std. A value; valid once made."""

    size: tuple  # height, width
    color: str = "rgb"
    transform: str = "torchvision"
    resize: object = None  # None: to size; a number: the shorter edge; (height, width)
    crop: str = "center"
    interpolation: str = "bilinear"
    scale: bool = True
    mean: tuple = ()  # a number a channel; empty: 0
    std: tuple = ()  # empty: 1

    def __post_init__(self):
        self._check_geometry()
        for key, allowed in (
            ("color", COLORS),
            ("transform", TRANSFORMS),
            ("crop", CROPS),
            ("interpolation", INTERPOLATIONS),
        ):
            if getattr(self, key) not in allowed:
                raise ExportError(f"{key} must be {' | '.join(allowed)}; was {getattr(self, key)}")
        if self.interpolation == "area" and self.transform != "opencv":
            raise ExportError("interpolation area needs transform opencv; was torchvision")
        for key in ("mean", "std"):
            values = getattr(self, key)
            if values and len(values) != self.channels:
                raise ExportError(f"{key} must have one value a channel ({self.channels}); has {len(values)}")
            if not all(math.isfinite(v) for v in values) or (key == "std" and not all(v > 0 for v in values)):
                raise ExportError(f"{key} must be finite{' and > 0' if key == 'std' else ''}; was {list(values)}")

    def _check_geometry(self):
        sides(self.size)
        if self.resize is not None:
            sides(self.resize)
        if self.crop == "none" and isinstance(self.resize, int):
            raise ExportError(f"crop none needs a resize to height and width; resize {self.resize} keeps the aspect ratio")
        if self.crop == "none" and self.resize is not None and tuple(self.resize) != tuple(self.size):
            raise ExportError(f"crop none needs resize equal to size, {list(self.size)}; was {list(self.resize)}")

    @property
    def channels(self):
        return 1 if self.color == "grey" else 3

    @property
    def shape(self):
        return (self.channels, *self.size)

    def yaml_lines(self):
        yield "kind: image"
        yield f"size: {list(self.size)}"
        yield f"color: {self.color}"
        yield f"transform: {self.transform}"
        if self.resize is not None:
            yield f"resize: {self.resize if isinstance(self.resize, int) else list(self.resize)}"
        yield f"crop: {self.crop}"
        yield f"interpolation: {self.interpolation}"
        yield f"scale: {'true' if self.scale else 'false'}"
        if self.mean:
            yield f"mean: {list(self.mean)}"
        if self.std:
            yield f"std: {list(self.std)}"


@dataclasses.dataclass(frozen=True)
class TensorInput:
    """Clients send what the model takes."""

    shape: tuple  # of one input, without the batch dimension

    def __post_init__(self):
        if not self.shape or not all(isinstance(n, int) and n >= 1 for n in self.shape):
            raise ExportError(f"an input's shape is one or more whole numbers from 1; was {list(self.shape)}")
        if math.prod(self.shape) > MAX_VALUES:
            raise ExportError(f"an input has at most {MAX_VALUES} values; {list(self.shape)} has {math.prod(self.shape)}")

    def yaml_lines(self):
        yield "kind: tensor"
        yield f"shape: {list(self.shape)}"


def from_preset(preset):
    """The transforms of torchvision's weights, or an error where model.yaml has no words for them."""
    kind = type(preset).__name__
    if kind != "ImageClassification":
        raise ExportError(
            f"the weights' transforms are {kind}, and only torchvision's ImageClassification (resize, centre crop, mean,"
            " std) is known: say what the model needs with --input-size, --resize, --mean, --std"
        )
    interpolation = getattr(preset.interpolation, "value", preset.interpolation)
    if interpolation not in ("bilinear", "bicubic", "nearest"):
        raise ExportError(
            f"the weights' transforms resize with {interpolation}; the server can bilinear, bicubic and nearest"
        )
    if interpolation != "nearest" and preset.antialias is not True:
        raise ExportError(
            f"the weights' transforms resize with antialias={preset.antialias}; the server's torchvision arithmetic always"
            " antialiases, and the model would see other pixels than in training"
        )
    height, width = sides(preset.crop_size)
    resize, resize_width = sides(preset.resize_size)
    return ImageInput(
        size=(height, width or height),
        resize=(resize, resize_width) if resize_width else resize,
        interpolation=interpolation,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
