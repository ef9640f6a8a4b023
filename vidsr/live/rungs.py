"""What may enlarge a camera's pictures, the best first: the network that suits them, a cheaper one, swscale."""

from vidsr.choice import AUTO, choose
from vidsr.media.compression import Compression
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.settings import StreamSettings

_CHEAPER, _MUCH = "fsrcnn-s", 0.7
"""A network of the zoo, and the share of the best one's cost above which it is no help."""


class Rungs:
    """The networks of a camera. Raises ModelError when the one that is asked for is not there."""

    def __init__(self, settings: StreamSettings) -> None:
        self._auto = settings.model == AUTO
        if self._auto:
            self.scale = settings.scale or 2
            self._loaded = {}
        else:
            best = load_model(settings.model, settings.scale)
            self.scale = best.architecture.scale
            self._loaded = {settings.model: best}
        cheaper = f"{_CHEAPER}-x{self.scale}"
        self._cheaper = {cheaper: load_model(cheaper)}

    @property
    def usual(self) -> Weights:
        """What a pool is opened with, before a picture was seen."""
        return next(iter(self._loaded.values()), next(iter(self._cheaper.values())))

    def networks(self, compression: Compression) -> dict[str, Weights]:
        """The networks for a stream that is compressed like that, by name, best first."""
        if self._auto:
            model = choose(compression, still=False, scale=self.scale, names=model_names()).model
            if model not in self._loaded:  # kept: the same weights are the same object, and no other network
                self._loaded[model] = load_model(model)
        else:
            (model,) = self._loaded
        best = self._loaded[model]
        most = _MUCH * best.architecture.multiplies
        cheaper = {name: each for name, each in self._cheaper.items() if each.architecture.multiplies <= most}
        return {model: best, **cheaper}
