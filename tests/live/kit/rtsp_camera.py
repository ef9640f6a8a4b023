"""An RTSP camera for trials, run by the system's Python: every frame bears its number (pattern.py).

  /usr/bin/python3 rtsp_camera.py --port 8554 --size 320x240 --fps 10
  /usr/bin/python3 rtsp_camera.py --port 8554 --size 256x192 --fps 25 --frames scene.luma

With --frames it shows the planes of a file, forth and back by the clock of the machine: two cameras show one moment.
Says "ready PORT" when it listens, and dies with its parent.
"""

import argparse
import ctypes
import signal
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402
from pattern import luma  # noqa: E402

ENCODERS = {
    "h264": "x264enc speed-preset=ultrafast threads=1 {tune} key-int-max={key_int} bitrate={kbps} ! h264parse "
    "! rtph264pay name=pay0 pt=96 config-interval=1",
    "h265": "x265enc speed-preset=ultrafast tune=zerolatency key-int-max={key_int} bitrate={kbps} ! h265parse "
    "! rtph265pay name=pay0 pt=96 config-interval=1",
    "mjpeg": "jpegenc quality=85 ! rtpjpegpay name=pay0 pt=26",
}
SOUNDS = {
    "alaw": "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name={pay} pt=8",
    "aac": "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=1 ! voaacenc ! rtpmp4gpay name={pay} pt=97",
}
_DIE_WITH_PARENT = 1


class FrameSource:
    """The frames of one camera, pushed to whatever pipeline is there now, and numbered over all of them."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.began_s = time.monotonic()
        self.next = args.first
        self.source = None
        self.planes = Path(args.frames).read_bytes() if args.frames else b""

    def begin(self, _factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        """Feed this pipeline from now on; the numbers go on by the clock, as if frames had been taken all along."""
        passed = int((time.monotonic() - self.began_s) * self.args.fps)
        self.next = max(self.next, self.args.first + passed)
        self.source = media.get_element().get_child_by_name("frames")
        # The audio's source can seek, so that the server seeks where there is audio: all must say that they can.
        self.source.connect("seek-data", lambda _source, _offset: True)
        media.connect("unprepared", self.end, self.source)
        GLib.timeout_add(max(1, round(1000 / self.args.fps)), self.push, self.source)

    def end(self, _media: GstRtspServer.RTSPMedia, source: Gst.Element) -> None:
        """This pipeline is gone."""
        if source is self.source:
            self.source = None

    def push(self, source: Gst.Element) -> bool:
        """Push one frame; False, which ends the timer, when the pipeline is gone or another took its place.

        On a busy machine one that is not ready yet refuses the first frames.
        """
        if source is not self.source:
            return False
        width, height = self.args.size
        gray = bytes([128]) * (2 * ((width + 1) // 2) * ((height + 1) // 2))
        data = self.luma() + gray
        if source.emit("push-buffer", Gst.Buffer.new_wrapped(data)) == Gst.FlowReturn.OK:
            self.next += 1
        return True

    def luma(self) -> bytes:
        """The luma of the next frame."""
        if not self.planes:
            return luma(self.args.size, camera=self.args.number, number=self.next)
        width, height = self.args.size
        count = len(self.planes) // (width * height)
        number = int(time.monotonic() * self.args.fps) % (2 * count)
        number = min(number, 2 * count - 1 - number)
        return self.planes[number * width * height : (number + 1) * width * height]


def size(text: str) -> tuple[int, int]:
    """(width, height) of 320x240; the width is a multiple of 8, so that no row of a plane is padded."""
    width, height = map(int, text.split("x"))
    if width % 8 or height % 2:
        raise argparse.ArgumentTypeError("the width must be a multiple of 8, the height even")
    return width, height


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An RTSP camera for trials.")
    parser.add_argument("--port", default="0", help="0: any that is free")
    parser.add_argument("--mount", default="/cam")
    parser.add_argument("--size", type=size, default=(320, 240))
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--codec", choices=ENCODERS, default="h264")
    parser.add_argument("--pixels", choices=("I420", "Y42B", "Y444"), default="I420")
    parser.add_argument("--key-int", type=int, default=10)
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--audio", choices=("none", *SOUNDS), default="none")
    parser.add_argument("--audio-only", action="store_true")
    parser.add_argument("--auth", metavar="USER:PASSWORD")
    parser.add_argument("--tls", metavar="PEM", help="certificate and key: it answers to rtsps:// alone")
    parser.add_argument("--number", type=int, default=0, help="of the camera, 0 to 255")
    parser.add_argument("--frames", help="file of luma planes of --size, shown instead")
    parser.add_argument("--kbps", type=int, default=1500)
    parser.add_argument("--first", type=int, default=0, help="the first frame's number")
    return parser.parse_args()


def launch(args: argparse.Namespace) -> str:
    """The pipeline in gst-launch's words."""
    sound = SOUNDS.get(args.audio, "")
    if args.audio_only:
        return f"( {(sound or SOUNDS['alaw']).format(pay='pay0')} )"
    width, height = args.size
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={args.fps}/1"
    tune = f"bframes={args.bframes} rc-lookahead=0" if args.bframes else "tune=zerolatency"
    encoder = ENCODERS[args.codec].format(tune=tune, key_int=args.key_int, kbps=args.kbps)
    frames = (
        "appsrc name=frames is-live=true format=time stream-type=seekable do-timestamp=true max-buffers=4 "
        f"leaky-type=downstream caps={caps} ! videoconvert ! video/x-raw,format={args.pixels} ! {encoder}"
    )
    return f"( {frames} {sound.format(pay='pay1')} )"


def guard(server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, args: argparse.Namespace) -> None:
    """Let nobody in without the name and password that were asked for, nor without TLS where that was."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if args.auth:
        user, _, password = args.auth.partition(":")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_default_token(token)
    if args.tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(args.tls))
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main() -> None:
    args = options()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(args.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(launch(args))
    factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP | GstRtsp.RTSPLowerTrans.TCP)
    if not args.audio_only:
        factory.connect("media-configure", FrameSource(args).begin)
    if args.auth or args.tls:
        guard(server, factory, args)
    server.get_mount_points().add_factory(args.mount, factory)
    if not server.attach(None):
        raise SystemExit(f"port {args.port} is taken")
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
