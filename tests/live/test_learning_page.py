"""The page of what a camera learns, and the metric of its network."""

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from live.status_server import get, serving, status

from vidsr.learn_dir import LearnDir, LiveGain, Proof, time_name
from vidsr.live.config import CameraConfig
from vidsr.live.http_learning import gain_graph
from vidsr.settings import LearnSettings
from vidsr.stream_url import StreamUrl

DAY = 86_400.0


@pytest.fixture
def config(tmp_path: Path) -> CameraConfig:
    learn_dir = LearnDir(tmp_path / "learn")
    for number, gain in enumerate((0.5, -0.2, 0.7)):
        name = time_name(1.764e9 + number * DAY)
        reason = "<b>it gains</b>" if gain > 0 else "it gains too little"
        learn_dir.write_proof(
            name,
            Proof(
                accepted=gain > 0,
                reason=reason,
                moving_gain=gain,
                whole_gain=1.0,
                general_loss=0.0,
                share=1.0,
                moments=3,
            ),
        )
        (learn_dir.network_folder(name) / "report.html").write_text(f"<p>report {number}</p>")
        learn_dir.add_gain(LiveGain(time_s=1.764e9 + number * DAY, network=name, gain=gain / 2))
    learn_dir.set_current(time_name(1.764e9 + 2 * DAY), "it gains 0.70 dB", now_s=1.764e9 + 2 * DAY)
    (tmp_path / "learn" / "networks" / "secret").mkdir()
    (tmp_path / "learn" / "networks" / "secret" / "report.html").write_text("secret")
    source = StreamUrl("rtsp://camera/1")
    return CameraConfig(name="gate", source=source, targets=(), learn=LearnSettings(), learn_dir=tmp_path / "learn")


def test_the_page_shows_networks_gains_and_events(tmp_path: Path, config: CameraConfig) -> None:
    with serving(tmp_path, status("gate"), configs=(config,)) as port:
        assert 'href="learning/gate/"' in get(port, "/")[1]
        answer, page = get(port, "/learning/gate/")
        assert answer.status == 200
        assert "+0.70 dB where the picture moves" in page
        assert "&lt;b&gt;it gains&lt;/b&gt;" in page
        assert page.count("<circle") == 3
        assert page.count('class="refused"') == 1
        assert "is used: it gains 0.70 dB" in page
        report = f"/learning/gate/{time_name(1.764e9)}/report.html"
        answer, text = get(port, report)
        assert (answer.status, text) == (200, "<p>report 0</p>")
        assert "script-src" not in answer.headers["Content-Security-Policy"]


def test_the_page_names_the_network_that_a_turned_camera_uses(tmp_path: Path, config: CameraConfig) -> None:
    turned = status("gate", learned="learned-2025-11-26T16-00 +0.70 dB", shows_scene=False)
    other = status("yard", learned="learned-2025-11-26T16-00 +0.70 dB")
    with serving(tmp_path, turned, other, configs=(config, replace(config, name="yard"))) as port:
        page = get(port, "/learning/gate/")[1]
        assert "In use: the general network</strong>, while the camera shows another scene" in page
        assert "In use: the network of" not in page
        assert "In use: the network of 2025-11-26" in get(port, "/learning/yard/")[1]


def test_the_page_says_that_learning_waits(tmp_path: Path, config: CameraConfig) -> None:
    assert config.learn_dir
    with serving(tmp_path, status("gate"), configs=(config,)) as port:
        assert "waits for CPU time" not in get(port, "/learning/gate/")[1]
        LearnDir(config.learn_dir).set_waiting(1.764e9)
        page = get(port, "/learning/gate/")[1]
    assert (
        f"<strong>Learning waits for CPU time</strong> since {datetime.fromtimestamp(1.764e9):%Y-%m-%d %H:%M}" in page
    )


@pytest.mark.parametrize(
    "path",
    [
        "/learning/gate/secret/report.html",
        "/learning/gate/../networks/report.html",
        "/learning/gate/%2e%2e/report.html",
        "/learning/other/",
        "/learning/gate/events.jsonl",
        "/learning/gate",
    ],
)
def test_nothing_else_is_served(tmp_path: Path, config: CameraConfig, path: str) -> None:
    with serving(tmp_path, status("gate"), configs=(config,)) as port:
        assert get(port, path)[0].status == 404


def test_a_camera_that_has_learned_nothing_has_a_page(tmp_path: Path) -> None:
    config = CameraConfig(
        name="gate",
        source=StreamUrl("rtsp://camera/1"),
        targets=(),
        learn=LearnSettings(),
        learn_dir=tmp_path / "none",
    )
    with serving(tmp_path, status("gate"), configs=(config,)) as port:
        answer, page = get(port, "/learning/gate/")
    assert answer.status == 200
    assert "In use: the general network." in page
    assert "<svg" not in page


def test_the_metric_says_whether_the_learned_network_is_used(tmp_path: Path) -> None:
    used = status("gate", learned="learned-2025-11-24T16-00 +0.42 dB")
    turned = status("yard", learned="learned-2025-11-24T16-00 +0.31 dB", shows_scene=False)
    with serving(tmp_path, used, turned, status("roof")) as port:
        lines = [line for line in get(port, "/metrics")[1].splitlines() if line.startswith("vidsr_learned{")]
        assert "unused: another scene" in get(port, "/")[1]
    assert lines == [
        'vidsr_learned{camera="gate",network="learned-2025-11-24T16-00 +0.42 dB"} 1.0',
        'vidsr_learned{camera="yard",network="learned-2025-11-24T16-00 +0.31 dB"} 0.0',
    ]


def test_the_graph_is_inside_its_view(config: CameraConfig) -> None:
    assert config.learn_dir
    learn_dir = LearnDir(config.learn_dir)
    graph = gain_graph(learn_dir.networks(), learn_dir.gains())
    assert graph
    proofs = graph["proofs"]
    assert isinstance(proofs, list)
    assert [(0 <= x <= 640, 0 <= y <= 200) for x, y, _, _ in proofs] == [(True, True)] * 3
    assert [y < graph["zero"] for _, y, _, _ in proofs] == [True, False, True]
    assert gain_graph([], []) is None


def test_the_graph_has_networks_and_live_gains_of_a_day_above_each_other(
    config: CameraConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.learn_dir
    network = replace(LearnDir(config.learn_dir).networks()[0], name="2026-11-29T17-00-00.000Z")
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # where it was the 30th already
    time.tzset()
    try:
        graph = gain_graph([network], [LiveGain(time_s=1_795_971_600.0 + 7200, network=network.name, gain=0.3)])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert graph
    assert [day for _, day in graph["days"]] == ["11-30"]
