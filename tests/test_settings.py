"""Settings say what is wrong with them when they are made."""

from dataclasses import FrozenInstanceError, fields

import pytest

from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

Kind = type[UpscaleSettings] | type[EncodeSettings] | type[PoolSettings]
KINDS: list[Kind] = [UpscaleSettings, EncodeSettings, PoolSettings]
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
        (UpscaleSettings, {"max_megapixels": 0.0}),
        (UpscaleSettings, {"max_megapixels": 1e6}),
        (UpscaleSettings, {"max_megapixels": NAN}),
        (EncodeSettings, {"crf": -1}),
        (EncodeSettings, {"crf": 64}),
        (PoolSettings, {"workers": -1}),
        (PoolSettings, {"threads": 0}),
        (PoolSettings, {"timeout_s": 0.0}),
        (PoolSettings, {"timeout_s": INF}),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_and_named_first(kind: Kind, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))} must be .*, not "):
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
