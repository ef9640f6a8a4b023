"""The alert rules of the examples."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live.status_server import status

from vidsr.live.prometheus import metrics_registry

RULES = Path(__file__).parents[2] / "examples/alerts.yml"
TESTS = """
rule_files: [{rules}]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {{series: 'up{{job="vidsr", instance="a:9090"}}', values: "1x20 0x20"}}
      - {{series: 'vidsr_health{{camera="front", health="failed"}}', values: "0x20 1x20"}}
      - {{series: 'vidsr_health{{camera="front", health="degraded"}}', values: "0x10 1x10 0x20"}}
      - {{series: 'vidsr_health{{camera="back", health="degraded"}}', values: "0x10 1x30"}}
      - {{series: 'vidsr_target_ok{{camera="front", target="rec"}}', values: "1x20 0x20"}}
      - {{series: 'vidsr_frames_in_total{{camera="front"}}', values: "0+750x40"}}
      - {{series: 'vidsr_frames_written_total{{camera="front"}}', values: "0+750x20 15000x20"}}
      - {{series: 'vidsr_process_restarts_total{{camera="back"}}', values: "0x10 0+1x30"}}
      - {{series: 'vidsr_disk_free_bytes{{camera="front", target="rec"}}', values: "5e9x5 1e9x40"}}
    promql_expr_test:
      - expr: count by (alertname) (ALERTS{{alertstate="firing"}})
        eval_time: 5m
      - expr: count by (alertname) (ALERTS{{alertstate="firing"}})
        eval_time: 20m
        exp_samples:
          - {{labels: '{{alertname="CameraDegraded"}}', value: 1}}
          - {{labels: '{{alertname="CameraFailed"}}', value: 1}}
          - {{labels: '{{alertname="CameraRestarts"}}', value: 1}}
          - {{labels: '{{alertname="DiskAlmostFull"}}', value: 1}}
          - {{labels: '{{alertname="NoFrameWritten"}}', value: 1}}
          - {{labels: '{{alertname="TargetLost"}}', value: 1}}
          - {{labels: '{{alertname="VidsrDown"}}', value: 1}}
"""


def test_every_metric_of_the_rules_exists() -> None:
    known = {sample for family in metrics_registry(lambda: [status()]).collect() for sample in _names(family.name)}
    used = set(re.findall(r"vidsr_\w+", RULES.read_text()))
    assert used
    assert used <= known


def _names(family: str) -> list[str]:
    return [family, f"{family}_total"]


@pytest.mark.slow
def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("needs the Debian package prometheus")
    (tmp_path / "tests.yml").write_text(TESTS.format(rules=RULES))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
