"""A network as a list of layers, read by two interpreters: PyTorch trains it, OpenVINO runs it.

Every convolution is *valid*, without padding: the input has `halo` extra pixels on each side, and the output exactly
the pixels of the plane inside.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vidsr.model.subpixel import BICUBIC_RADIUS, centred_padding, deconvolution_radius

SCALES = (2, 3, 4)
PAPER_KERNEL = 9  # taps per side of the deconvolution, at every scale
PAPER_PADDING = 4  # by which the usual ports centre it; their output padding, scale - 1, only completes the size
MAX_WIDTH, MAX_DEPTH = 512, 64  # far beyond what a CPU can run: a file with more is wrong


@dataclass(frozen=True, kw_only=True)
class Activation:
    """x for positive x, a slope times x for the others."""

    per_channel: bool
    """One slope per channel, or one per layer."""
    trainable: bool
    slope: float
    """Its start, or its constant value."""


ACTIVATIONS = {
    "prelu": Activation(per_channel=True, trainable=True, slope=0.25),
    "prelu-shared": Activation(per_channel=False, trainable=True, slope=0.25),
    "leaky-relu": Activation(per_channel=False, trainable=False, slope=0.1),
    "relu": Activation(per_channel=False, trainable=False, slope=0.0),
}


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A valid convolution of stride 1 with a bias, followed by an activation."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    slopes: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name in a weight file."""
        return {
            f"{self.name}.weight": (self.outputs, self.inputs, self.kernel, self.kernel),
            f"{self.name}.bias": (self.outputs,),
            f"{self.name}.slope": (self.slopes,),
        }


@dataclass(frozen=True, kw_only=True)
class Deconvolution:
    """A transposed convolution to one channel; with stride 1, a convolution by the flipped kernel."""

    name: str
    inputs: int
    stride: int
    kernel: int
    padding: int
    """By PyTorch's definition; it decides the phase (see `subpixel`)."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name in a weight file."""
        return {f"{self.name}.weight": (self.inputs, 1, self.kernel, self.kernel), f"{self.name}.bias": (1,)}

    @property
    def reach(self) -> int:
        """The radius of its receptive field, in pixels of its input."""
        return deconvolution_radius(self.stride, self.kernel, self.padding)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Convolutions and one deconvolution, on the low-resolution plane or on its bicubic upscaling."""

    family: str
    dimensions: tuple[int, ...]
    scale: int
    activation: str
    residual: bool
    """Whether the layers' output is added to the bicubic upscaling."""
    body: tuple[Convolution, ...]
    tail: Deconvolution
    long_skip: bool = False
    """Whether the output of the first layer is added to the input of the last (SESR)."""

    @property
    def upscales_first(self) -> bool:
        """Whether the layers work on the bicubic upscaling, at high resolution (SRCNN)."""
        return self.tail.stride != self.scale

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, by name, in the order of the layers."""
        layers: tuple[Convolution | Deconvolution, ...] = (*self.body, self.tail)
        return {name: shape for layer in layers for name, shape in layer.shapes.items()}

    @property
    def reach(self) -> int:
        """The radius of the layers' receptive field, in pixels of their own resolution."""
        return sum(layer.kernel // 2 for layer in self.body) + self.tail.reach

    @property
    def halo(self) -> int:
        """The radius of an output pixel's receptive field, in low-resolution pixels."""
        if self.upscales_first:
            return BICUBIC_RADIUS + -(-self.reach // self.scale)
        return max(BICUBIC_RADIUS, self.reach)

    @property
    def weights(self) -> int:
        """The number of weights, without biases and slopes: as the papers count."""
        body = sum(layer.outputs * layer.inputs * layer.kernel**2 for layer in self.body)
        return body + self.tail.inputs * self.tail.kernel**2

    @property
    def multiplies(self) -> int:
        """Multiply-adds per low-resolution pixel, by the usual count (the deconvolution as k² taps)."""
        return self.weights * (self.scale**2 if self.upscales_first else 1)

    def __str__(self) -> str:
        return f"{self.family}({','.join(map(str, self.dimensions))}) x{self.scale}"


def fsrcnn(
    d: int,
    s: int,
    m: int,
    scale: int,
    *,
    activation: str = "prelu",
    kernel: int = PAPER_KERNEL,
    padding: int | None = None,
    residual: bool = True,
    long_skip: bool = False,
) -> Architecture:
    """FSRCNN(d, s, m): feature, shrink, m mapping layers, expand, deconvolution (Dong, Loy and Tang, 2016).

    With d == s there are no shrinking and expanding layers. `kernel` and `padding` are those of the deconvolution; by
    default it is centred as well as the kernel allows. Raises ValueError for impossible dimensions.
    """
    _check(scale, activation, widths=(d, s), kernels=(kernel,), depth=m)
    padding = centred_padding(scale, kernel) if padding is None else padding
    if not 0 <= padding < kernel:
        raise ValueError(f"padding must be from 0 to below the kernel of {kernel}, not {padding}")
    names = ["feature", "shrink", *(f"mapping{i}" for i in range(m)), "expand"]
    shapes = [(1, d, 5), (d, s, 1), *[(s, s, 3)] * m, (s, d, 1)]
    if d == s:
        names, shapes = [names[0], *names[2:-1]], [shapes[0], *shapes[2:-1]]
    return Architecture(
        family="fsrcnn",
        dimensions=(d, s, m),
        scale=scale,
        activation=activation,
        residual=residual,
        body=_body(names, shapes, activation),
        tail=Deconvolution(name="deconvolution", inputs=d, stride=scale, kernel=kernel, padding=padding),
        long_skip=long_skip,
    )


def srcnn(
    k1: int, k2: int, k3: int, n1: int, n2: int, scale: int, *, activation: str = "relu", residual: bool = True
) -> Architecture:
    """SRCNN k1-k2-k3 (n1, n2): patches, mapping, reconstruction (Dong, Loy, He and Tang, 2014).

    It works on the bicubic upscaling, so its layers are the same at every scale. Raises ValueError for impossible
    dimensions.
    """
    _check(scale, activation, widths=(n1, n2), kernels=(k1, k2, k3), depth=0)
    if not k1 % 2 == k2 % 2 == k3 % 2 == 1:
        raise ValueError(f"SRCNN needs odd kernels, not {(k1, k2, k3)}")
    return Architecture(
        family="srcnn",
        dimensions=(k1, k2, k3, n1, n2),
        scale=scale,
        activation=activation,
        residual=residual,
        body=_body(["patches", "mapping"], [(1, n1, k1), (n1, n2, k2)], activation),
        tail=Deconvolution(name="reconstruction", inputs=n2, stride=1, kernel=k3, padding=k3 // 2),
    )


FAMILIES: dict[str, tuple[Callable[..., Architecture], int]] = {"fsrcnn": (fsrcnn, 3), "srcnn": (srcnn, 5)}
"""By name: the constructor, and the number of dimensions."""


def _body(names: list[str], shapes: list[tuple[int, int, int]], activation: str) -> tuple[Convolution, ...]:
    per_channel = ACTIVATIONS[activation].per_channel
    return tuple(
        Convolution(name=name, inputs=inputs, outputs=outputs, kernel=kernel, slopes=outputs if per_channel else 1)
        for name, (inputs, outputs, kernel) in zip(names, shapes, strict=True)
    )


def _check(scale: int, activation: str, *, widths: tuple[int, ...], kernels: tuple[int, ...], depth: int) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {SCALES}, not {scale}")
    if not all(1 <= width <= MAX_WIDTH for width in widths):
        raise ValueError(f"a layer must be 1 to {MAX_WIDTH} channels wide, not {widths}")
    if not all(1 <= kernel <= MAX_WIDTH for kernel in kernels):
        raise ValueError(f"a kernel must be 1 to {MAX_WIDTH} pixels wide, not {kernels}")
    if not 0 <= depth <= MAX_DEPTH:
        raise ValueError(f"there must be 0 to {MAX_DEPTH} mapping layers, not {depth}")
