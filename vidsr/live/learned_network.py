"""The network that a camera has learned: it is used while the camera shows the scene that it was learned from."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.arrays import Plane
from vidsr.errors import ModelError
from vidsr.learn_dir import NETWORK, PROOF, SCENE, read_proof
from vidsr.model.weights import Weights, load_weights
from vidsr.quality.scene_similarity import SHAPE, one_scene, thumbnail_of

_CHECK_S = 5.0
_CHECKS = 3
"""Views that must differ, one after the other, before the scene counts as another one: a van stops before the lens."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneNetwork:
    """A network with the scene that it was learned from."""

    name: str
    """Its day and its gain, as segments, metrics and pages show it."""
    weights: Weights
    thumbnails: NDArray[np.uint8]
    """(n, 48, 64): what the scene looks like at several hours."""


def load_scene_network(folder: Path, scale: int | None = None) -> SceneNetwork:
    """The network in a folder of a `LearnDir`; with `scale` it must be for that. Raises ModelError."""
    proof = read_proof(folder)
    if proof is None:
        raise ModelError(f"{folder / PROOF}: is missing or damaged")
    try:
        with np.load(io.BytesIO((folder / SCENE).read_bytes()), allow_pickle=False) as file:
            thumbnails = file["thumbnails"]
    except Exception as error:  # zipfile, zlib and numpy fail at damaged bytes each in ways of their own
        raise ModelError(f"{folder / SCENE}: is missing or damaged") from error
    if thumbnails.dtype != np.uint8 or thumbnails.shape[1:] != SHAPE or not len(thumbnails):
        raise ModelError(f"{folder / SCENE}: holds no thumbnails of 48 x 64 pixels")
    name = f"learned-{folder.name[:16]} {proof.moving_gain:+.2f} dB"
    weights = load_weights(folder / NETWORK)
    if scale not in (None, weights.architecture.scale):
        raise ModelError(f"{folder / NETWORK}: is for x{weights.architecture.scale}, and the camera for x{scale}")
    return SceneNetwork(name=name, weights=weights, thumbnails=thumbnails)


class SceneWatch:
    """The learned network of a camera, which `usable` has while the camera shows its scene.

    `take` may be called by another thread than `on_frame`.
    """

    def __init__(self) -> None:
        self.learned: SceneNetwork | None = None
        self.usable: SceneNetwork | None = None
        self._checked: SceneNetwork | None = None
        self._next_s = 0.0
        self._against = 0

    @property
    def shows_scene(self) -> bool:
        """Whether the camera shows the scene of its learned network, if there is one."""
        return self.usable is self.learned

    def take(self, learned: SceneNetwork | None) -> None:
        """Use another learned network from now on, or none."""
        self.learned = self.usable = learned

    def on_frame(self, luma: Plane, depth: int, now_s: float) -> None:
        """Look at a frame of the source, (H, W) of this many bits, every few seconds."""
        learned = self.learned
        if learned is None or now_s < self._next_s:
            return
        if learned is not self._checked:
            self._checked, self._against = learned, 0
        self._next_s = now_s + _CHECK_S
        view = thumbnail_of((luma >> (depth - 8)).astype(np.uint8))
        shows_scene = any(one_scene(thumbnail, view) for thumbnail in learned.thumbnails)
        self._against = 0 if shows_scene == self.shows_scene else self._against + 1
        if self._against == _CHECKS:
            self._against = 0
            if learned is self.learned:
                self.usable = learned if shows_scene else None
