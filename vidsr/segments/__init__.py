"""A video as segments: cut where decoding can begin, upscaled apart, joined to one."""
