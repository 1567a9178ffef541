"""A running Prometheus, with the rules of deploy/prometheus, that scrapes each second."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.calls import eventually
from tests.support.kept_logs import new_log
from tests.support.ports import free_port
from tests.support.processes import ROOT

RULES = ROOT / "deploy/prometheus"
PROMETHEUS = shutil.which("prometheus")
NOT_INSTALLED = "prometheus is not installed: apt-get install prometheus"


@dataclass
class Prometheus:
    port: int

    def asked(self, path: str, **query: str) -> Any:
        """The data of an answer of its API."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of now, each with its labels as `metric`."""
        found: list[dict[str, Any]] = self.asked("query", query=expression)["result"]
        return found


@contextlib.contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """With the configuration of deploy/prometheus, for these ports by job; other jobs are left out."""
    assert PROMETHEUS is not None, NOT_INSTALLED
    configuration = yaml.safe_load((RULES / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(RULES / name) for name in configuration["rule_files"]]
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    for name, port in targets.items():
        jobs[name]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    configuration["scrape_configs"] = [jobs[name] for name in targets]
    file, at = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(configuration))
    command = [PROMETHEUS, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{at}", "--log.level=warn"]
    with new_log("prometheus").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        found = Prometheus(at)

        def scrapes() -> bool:
            with contextlib.suppress(OSError):
                active = found.asked("targets")["activeTargets"]
                return len(active) == len(targets) and all(each["health"] == "up" for each in active)
            return False

        eventually(scrapes)
        yield found
    finally:
        process.terminate()
        process.wait(30)
