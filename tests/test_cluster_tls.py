"""A cluster whose connections are encrypted by Ray's own means, as examples/cluster.md says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster, cluster_of, require_cluster
from made import make_clip

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]
HANDSHAKE = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.load_cert_chain(sys.argv[2], sys.argv[3])
with socket.create_connection((sys.argv[1], 6379), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[1]) as connection:
        print(connection.version())
"""


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Cluster]:
    require_cluster()
    with cluster_of(1, name="tls", tls=True) as cluster:
        yield cluster


def ended(cluster: Cluster, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A command on the head, with its variables changed; one that is empty is not set."""
    environment = {name: value for name, value in (cluster.environment() | variables).items() if value}
    command = cluster.command([sys.executable, *words])
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_video_is_upscaled_over_tls(encrypted: Cluster, tmp_path: Path, tiny_model: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    options = ("--segments", "--ray-address", "auto", "--model", tiny_model, "--json")
    done = ended(encrypted, "-m", "vidsr", "upscale", *options, str(clip), str(tmp_path / "out.mp4"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["frames_written"], report["workers"]) == (24, 1)


def test_the_head_speaks_tls_and_nothing_else(encrypted: Cluster, tmp_path: Path) -> None:
    files = [str(encrypted.folder / "tls" / name) for name in ("cert.pem", "key.pem")]
    assert ended(encrypted, "-c", HANDSHAKE, "10.77.0.1", *files).stdout == "TLSv1.3\n"
    clip = make_clip(tmp_path / "clip.mp4")
    words = ("-m", "vidsr", "upscale", "--workers", "1", "--ray-address", encrypted.address)
    plain = ended(encrypted, *words, str(clip), str(tmp_path / "out.mp4"), RAY_USE_TLS="")
    assert (plain.returncode, plain.stdout) == (6, "")
    assert plain.stderr.startswith(f"vidsr: {encrypted.address}: no Ray cluster answers there")
