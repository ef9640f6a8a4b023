"""The live gain, measured by the process that collects, on both streams of a real camera."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from kit.collecting import collect, events, folder_of, learning_camera
from kit.scene_cameras import source_and_main

from vidsr.learn_dir import LiveGain, Proof
from vidsr.model.weights import Weights, save_weights
from vidsr.settings import StreamSettings


def test_a_network_that_is_worse_for_ten_minutes_is_given_up(tmp_path: Path, weights: Weights) -> None:
    with source_and_main(tmp_path) as (source, main):
        config = learning_camera(tmp_path, source.url, main.url, every_s=3600.0)
        config = replace(config, stream=StreamSettings(timeout_s=20.0, model="fsrcnn-fast-x2"))
        learn_dir, now_s, name = folder_of(config), time.time(), "2026-11-30T03-00-00.000Z"
        network = learn_dir.network_folder(name)
        network.mkdir(parents=True)
        save_weights(network / "model.npz", weights)
        np.savez(network / "scene.npz", thumbnails=np.zeros((1, 48, 64), np.uint8), shape=np.array((96, 128)))
        proof = {"moving_gain": 0.4, "whole_gain": 1.0, "general_loss": 0.0, "share": 1.0, "moments": 4}
        learn_dir.write_proof(name, Proof(accepted=True, reason="it gains", **proof))
        learn_dir.set_current(name, "it gains", now_s=now_s - 1200)
        os.utime(learn_dir.path / "current.json", (now_s - 1200, now_s - 1200))
        learn_dir.set_collect_state(replace(learn_dir.collect_state(), tried_s=now_s))  # no moment is due
        for minute in range(9, 0, -1):
            learn_dir.add_gain(LiveGain(time_s=now_s - 60 * minute, network=name, gain=-0.5))
        collect(config)
    measured = learn_dir.gains()[-1]
    assert measured.time_s >= now_s
    assert measured.gain < 0
    assert learn_dir.current() is None
    assert f"the general network is used: {name} was " in events(config)[-1]
    assert (learn_dir.moments(), learn_dir.half_moments()) == ([], [])
    assert learn_dir.collect_state().collected == 0
