"""A server that receives: listens at an rtmp:// or rtsp:// URL, and writes what comes into a file.

  python receive.py rtmp://127.0.0.1:1935/live/x received.mkv

Dies with its parent.
"""

import ctypes
import signal
import sys

import av

_DIE_WITH_PARENT = 1


def main(url: str, target: str) -> None:
    """Receive until the other side ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    listen = {"listen": "1"} if url.startswith("rtmp") else {"rtsp_flags": "listen", "listen_timeout": "600"}
    options = {"flush_packets": "1"}
    with (
        av.open(url, options={**listen, "analyzeduration": "500000"}) as source,
        av.open(target, "w", format="matroska", options=options) as output,
    ):
        (video,) = source.streams.video
        copy = output.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size and packet.pts is not None:  # an RTSP sender's first frame comes without
                packet.stream = copy
                output.mux(packet)


main(*sys.argv[1:])
