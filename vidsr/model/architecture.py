"""A network as a list of layers, read by two interpreters: PyTorch trains it, OpenVINO runs it.

Every convolution is *valid*: it pads nothing, so the plane that enters carries `halo` extra pixels
on each side and the network gives exactly the pixels that belong to the plane inside.
"""

from dataclasses import dataclass

from vidsr.model.subpixel import BICUBIC_REACH, deconvolution_reach

SCALES = (2, 3, 4)
DECONVOLUTION_KERNEL = 9
WIDEST, DEEPEST = 512, 64  # far beyond what a CPU runs in time: a file that says more is wrong


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A valid convolution of stride 1 with a bias, and a PReLU with one slope a channel behind it."""

    name: str
    inputs: int
    outputs: int
    kernel: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name in a weight file."""
        return {
            f"{self.name}.weight": (self.outputs, self.inputs, self.kernel, self.kernel),
            f"{self.name}.bias": (self.outputs,),
            f"{self.name}.slope": (self.outputs,),
        }


@dataclass(frozen=True, kw_only=True)
class Deconvolution:
    """A transposed convolution to one channel, stride = scale; its phase is in `subpixel`."""

    name: str
    inputs: int
    scale: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name in a weight file."""
        kernel = DECONVOLUTION_KERNEL
        return {f"{self.name}.weight": (self.inputs, 1, kernel, kernel), f"{self.name}.bias": (1,)}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Convolutions and one deconvolution; their sum with the bicubic enlargement is the result."""

    family: str
    dimensions: tuple[int, ...]
    scale: int
    body: tuple[Convolution, ...]
    tail: Deconvolution

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor of the network, by name, in the order of the layers."""
        layers: tuple[Convolution | Deconvolution, ...] = (*self.body, self.tail)
        return {name: shape for layer in layers for name, shape in layer.shapes.items()}

    @property
    def halo(self) -> int:
        """How many low-resolution pixels beyond its own place an output pixel depends on."""
        reach = sum(layer.kernel // 2 for layer in self.body)
        return max(BICUBIC_REACH, reach + deconvolution_reach(self.scale, DECONVOLUTION_KERNEL))

    @property
    def multiplies(self) -> int:
        """Multiply-adds for one low-resolution pixel, by the usual count (the deconvolution as k² taps)."""
        body = sum(layer.outputs * layer.inputs * layer.kernel**2 for layer in self.body)
        return body + self.tail.inputs * DECONVOLUTION_KERNEL**2

    def __str__(self) -> str:
        return f"{self.family}({','.join(map(str, self.dimensions))}) x{self.scale}"


def fsrcnn(d: int, s: int, m: int, scale: int) -> Architecture:
    """FSRCNN(d, s, m): feature, shrink, m mapping layers, expand, deconvolution.

    With d == s there is nothing to shrink or to expand, and both layers are left out.
    Raises ValueError for dimensions that make no network.
    """
    if scale not in SCALES or not (1 <= d <= WIDEST and 1 <= s <= WIDEST and 0 <= m <= DEEPEST):
        limits = f"d and s of 1 to {WIDEST}, m of 0 to {DEEPEST} and a scale of {SCALES}"
        raise ValueError(f"FSRCNN needs {limits}, got {(d, s, m, scale) = }")
    feature = Convolution(name="feature", inputs=1, outputs=d, kernel=5)
    shrink = Convolution(name="shrink", inputs=d, outputs=s, kernel=1)
    mapping = [Convolution(name=f"mapping{i}", inputs=s, outputs=s, kernel=3) for i in range(m)]
    expand = Convolution(name="expand", inputs=s, outputs=d, kernel=1)
    return Architecture(
        family="fsrcnn",
        dimensions=(d, s, m),
        scale=scale,
        body=(feature, *mapping) if d == s else (feature, shrink, *mapping, expand),
        tail=Deconvolution(name="deconvolution", inputs=d, scale=scale),
    )
