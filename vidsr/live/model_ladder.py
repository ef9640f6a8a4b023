"""What may enlarge a camera's pictures, the best first: the network that suits them, a cheaper one, swscale."""

from vidsr.media.compression_probe import Compression
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, DEFAULT_FAMILY, select_model
from vidsr.settings import StreamSettings

_CHEAPER, _MUCH = "fsrcnn-fast", 0.7
"""A family of the zoo, and the share of the best network's cost above which it is no help."""


class Rungs:
    """The networks of a camera. Raises ModelError when the one that is asked for is not there."""

    def __init__(self, settings: StreamSettings) -> None:
        self._named = None if settings.model == AUTO else settings.model
        self._loaded: dict[str, Weights] = {}  # kept: the same weights are the same object, and no other network
        if self._named:
            self._loaded[self._named] = load_model(self._named, settings.scale)
            self.scale = self._loaded[self._named].architecture.scale
        else:
            self.scale = settings.scale or 2
            self._load(f"{DEFAULT_FAMILY}-x{self.scale}")

    @property
    def usual(self) -> Weights:
        """What a pool is opened with, before a picture was seen."""
        return next(iter(self._loaded.values()))

    def networks(self, compression: Compression) -> dict[str, Weights]:
        """The networks for a stream that is compressed like that, by name, best first."""
        first = self._named or self._suited(compression, DEFAULT_FAMILY)
        second = self._suited(compression, _CHEAPER)
        best, cheaper = self._load(first), self._load(second)
        if cheaper.architecture.multiplies > _MUCH * best.architecture.multiplies:
            return {first: best}
        return {first: best, second: cheaper}

    def _suited(self, compression: Compression, family: str) -> str:
        return select_model(compression, still=False, scale=self.scale, names=model_names(), family=family).model

    def _load(self, name: str) -> Weights:
        if name not in self._loaded:
            self._loaded[name] = load_model(name)
        return self._loaded[name]
