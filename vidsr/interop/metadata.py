"""Metadata of exported files."""

from vidsr.model.weights import Weights


def model_metadata(weights: Weights, *, name: str, licence: str, version: str) -> dict[str, str]:
    """Metadata by key: the network, its input and output, and the licence of its weights."""
    architecture = weights.architecture
    scale = architecture.scale
    return {
        "name": name,
        "vidsr": version,
        "family": architecture.family,
        "dimensions": ",".join(map(str, architecture.dimensions)),
        "scale": str(scale),
        "licence": licence,
        "input": "luma, float32 (batch, 1, height, width) of any size, code values over the largest (255 of 8 bits)",
        "output": f"(batch, 1, {scale}*height, {scale}*width) on the same scale, neither clipped nor rounded",
    }
