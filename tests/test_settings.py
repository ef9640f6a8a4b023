"""Settings say what is wrong with them when they are made."""

from dataclasses import FrozenInstanceError, fields

import pytest

from vidsr.settings import (
    DatasetSettings,
    DegradeSettings,
    EncodeSettings,
    LearnSettings,
    PoolSettings,
    StreamSettings,
    TrainSettings,
    UpscaleSettings,
)
from vidsr.settings.options import parse_range, parse_shares

Kind = (
    type[UpscaleSettings]
    | type[EncodeSettings]
    | type[PoolSettings]
    | type[DegradeSettings]
    | type[DatasetSettings]
    | type[LearnSettings]
    | type[StreamSettings]
    | type[TrainSettings]
)
KINDS: list[Kind] = [
    UpscaleSettings,
    EncodeSettings,
    PoolSettings,
    DegradeSettings,
    DatasetSettings,
    LearnSettings,
    StreamSettings,
]
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (UpscaleSettings, {"scale": 5}),
        (UpscaleSettings, {"scale": 1}),
        (UpscaleSettings, {"to": "banana"}),
        (UpscaleSettings, {"to": "0p"}),
        (UpscaleSettings, {"to": "1920x"}),
        (UpscaleSettings, {"to": "1080"}),
        (UpscaleSettings, {"start_s": -1.0}),
        (UpscaleSettings, {"start_s": NAN}),
        (UpscaleSettings, {"start_s": INF}),
        (UpscaleSettings, {"end_s": 0.0}),
        (UpscaleSettings, {"end_s": 2.0, "start_s": 3.0}),
        (UpscaleSettings, {"end_s": NAN}),
        (UpscaleSettings, {"strength": 1.6}),
        (UpscaleSettings, {"strength": NAN}),
        (UpscaleSettings, {"max_megapixels": 0.0}),
        (UpscaleSettings, {"max_megapixels": 1e6}),
        (UpscaleSettings, {"max_megapixels": NAN}),
        (LearnSettings, {"hours": "25-3"}),
        (LearnSettings, {"hours": "never"}),
        (LearnSettings, {"hours": "3-3"}),
        (LearnSettings, {"folder": ""}),
        (LearnSettings, {"folder": "rtsp://user:password@host/x"}),
        (LearnSettings, {"cores": 0}),
        (LearnSettings, {"cores": 10**20}),
        (LearnSettings, {"keep_days": INF}),
        (LearnSettings, {"memory_gb": 0.0}),
        (LearnSettings, {"every_s": 5.0}),
        (LearnSettings, {"moment_s": NAN}),
        (LearnSettings, {"keep_gb": NAN}),
        (LearnSettings, {"steps": 0}),
        (LearnSettings, {"keep_networks": 0}),
        (LearnSettings, {"min_gain_db": 0.0}),
        (LearnSettings, {"min_gain_db": NAN}),
        (LearnSettings, {"masks": ("0,0,320",)}),
        (LearnSettings, {"masks": ("0,0,0,40",)}),
        (EncodeSettings, {"crf": -1}),
        (EncodeSettings, {"crf": 64}),
        (EncodeSettings, {"max_rate": "1M", "bitrate": "2M"}),
        (EncodeSettings, {"max_rate": "1M", "encoder_option": ("maxrate=2000000",)}),
        (EncodeSettings, {"max_rate": "1M", "encoder_option": ("bufsize=2000000",)}),
        (EncodeSettings, {"bitrate": "4 Mbit"}),
        (EncodeSettings, {"bitrate": "0"}),
        (EncodeSettings, {"bitrate": "4M", "crf": 20}),
        (EncodeSettings, {"encoder_option": ("tune",)}),
        (EncodeSettings, {"encoder_option": ("=grain",)}),
        (PoolSettings, {"workers": -1}),
        (PoolSettings, {"workers": 1025}),
        (PoolSettings, {"threads": 1025}),
        (PoolSettings, {"threads": 0}),
        (PoolSettings, {"precision": "int7"}),
        (PoolSettings, {"timeout_s": 0.0}),
        (PoolSettings, {"timeout_s": INF}),
        (DegradeSettings, {"scale": 5}),
        (DegradeSettings, {"seed": -1}),
        (DegradeSettings, {"noise_share": 1.1}),
        (DegradeSettings, {"noise_share": NAN}),
        (DegradeSettings, {"frames": "0-12"}),
        (DegradeSettings, {"frames": "12-8"}),
        (DegradeSettings, {"frames": "2.5-8"}),
        (DegradeSettings, {"x264_crf": "18-52"}),
        (DegradeSettings, {"x264_crf": "18,35"}),
        (DegradeSettings, {"blur": "-1"}),
        (DegradeSettings, {"kernels": "cubic:1"}),
        (DegradeSettings, {"kernels": "area:1,area"}),
        (DegradeSettings, {"codecs": "x264:0,x265:0"}),
        (DatasetSettings, {"clips": 0}),
        (DatasetSettings, {"crop": 31}),
        (DatasetSettings, {"footage_share": -0.1}),
        (DatasetSettings, {"max_gb": 0.0}),
        (DatasetSettings, {"max_gb": NAN}),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_and_named_first(kind: Kind, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))} must be .*, not "):
        kind(**wrong)


@pytest.mark.parametrize(
    ("kind", "wrong", "limits"),
    [
        (StreamSettings, {"timeout_s": 1e6}, "from 0.5 to 86400"),
        (StreamSettings, {"max_megapixels": 300.0}, "above 0 and at most 268"),
        (UpscaleSettings, {"start_s": 2e9}, "from 0 to 1000000000"),
        (DatasetSettings, {"max_gb": 2e6}, "above 0 and at most 1000000"),
        (LearnSettings, {"steps": 2_000_000}, "from 1 to 1000000"),
        (TrainSettings, {"threads": 99_999}, "from 1 to 1024"),
    ],
)
def test_a_setting_above_its_limit_names_the_limit(kind: Kind, wrong: dict[str, object], limits: str) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))} must be {limits}, not "):
        kind(**wrong)


@pytest.mark.parametrize("right", [{"to": "1080p"}, {"to": "1x1"}, {"start_s": 0.0, "end_s": 0.1}, {"scale": 4}])
def test_settings_at_the_edge_of_sense_are_taken(right: dict[str, object]) -> None:
    UpscaleSettings(**right)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_frozen_and_have_a_default_for_every_field(kind: Kind) -> None:
    settings = kind()
    with pytest.raises(FrozenInstanceError):
        setattr(settings, fields(kind)[0].name, None)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_made_by_keyword_alone(kind: Kind) -> None:
    with pytest.raises(TypeError):
        kind("fsrcnn")


def test_a_range_is_two_numbers_or_twice_the_same_and_shares_add_up_to_one() -> None:
    assert (parse_range("18-35"), parse_range("0.5")) == ((18, 35), (0.5, 0.5))
    assert parse_shares("area:3,bicubic:1") == {"area": 0.75, "bicubic": 0.25}
    DegradeSettings(frames="1", blur="0.3", kernels="plain:1", x265_crf="0-51")
