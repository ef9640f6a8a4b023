"""The headers of AAC, for containers that need them before the first packet."""

from av.audio.stream import AudioStream
from av.stream import Stream

from vidsr.media.libav import stream_codec

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_LC = 2


def aac_headers(stream: Stream) -> bytes:
    """The headers of an AAC-LC stream whose packets carry their own, as in MPEG-TS; b"" for any other stream."""
    if not isinstance(stream, AudioStream) or not stream.codec_context or stream_codec(stream)[0::2] != ("aac", b""):
        return b""
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if stream.codec_context.profile != "LC" or rate not in _RATES or not 1 <= channels <= 6:
        return b""
    return (_LC << 11 | _RATES.index(rate) << 7 | channels << 3).to_bytes(2, "big")
