"""What Prometheus and Grafana are given: rules that speak when they should, of figures that a real
daemon has.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from modules.daemon.health import KINDS
from tests.deployment.tools import DEPLOY, run, tool
from tests.scripted_daemon import ScriptedDaemon

PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "audio-transcriber.json"
PROVISIONING = DEPLOY / "grafana" / "provisioning"
#: What Prometheus itself knows of whom it asks.
_OWN = {"up"}
_NAME = re.compile(r"\b(?:up|transcriber_\w+)\b")


def rules() -> list[dict[str, Any]]:
    tree = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in tree["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return content


def questions() -> list[str]:
    """Every expression of the dashboard, as Grafana sends it."""
    panels = dashboard()["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    return [expression.replace("$instance", ".*") for expression in asked]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The names of all that a daemon has told that did a recording and replaced its worker."""
    with ScriptedDaemon(tmp_path_factory.mktemp("daemon")) as daemon:
        daemon.drop("talk.mp3")
        daemon.wait_for_result("talk.mp3")
        daemon.drop("crash.mp3")
        daemon.wait_for_log("Replacing the WhisperX process")
        daemon.health()  # a request: the figures of requests begin with the first
        families = text_string_to_metric_families(daemon._get("/metrics"))
        yield {sample.name for family in families for sample in family.samples}


def test_promtool_finds_configuration_and_rules_good(tmp_path: Path) -> None:
    done = run([tool("promtool"), "check", "config", PROMETHEUS / "prometheus.yml"])
    assert done.returncode == 0, done.stdout
    assert f"{len(rules())} rules found" in done.stdout


def test_the_commented_key_can_be_turned_on(tmp_path: Path) -> None:
    said = (PROMETHEUS / "prometheus.yml").read_text()
    (tmp_path / "key").write_text("a key")
    line = "    # authorization: {credentials_file: /etc/prometheus/key}"
    assert line in said
    said = said.replace(line, line.replace("# ", "").replace("/etc/prometheus", str(tmp_path)))
    (tmp_path / "prometheus.yml").write_text(said)
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    done = run([tool("promtool"), "check", "config", tmp_path / "prometheus.yml"])
    assert done.returncode == 0, done.stdout


def test_every_rule_speaks_when_it_should_and_is_silent_when_not() -> None:
    done = run([tool("promtool"), "test", "rules", PROMETHEUS / "alerts_test.yml"])
    assert done.returncode == 0, done.stdout


def test_every_rule_has_a_test_that_makes_it_speak() -> None:
    tree = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())
    cases = [case for test in tree["tests"] for case in test["alert_rule_test"]]
    for speaks in (True, False):
        tried = {case["alertname"] for case in cases if bool(case["exp_alerts"]) == speaks}
        assert {rule["alert"] for rule in rules()} == tried


def test_every_question_of_the_dashboard_is_one(tmp_path: Path) -> None:
    asked = [{"record": f"question:{i}", "expr": one} for i, one in enumerate(questions())]
    file = tmp_path / "questions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    done = run([tool("promtool"), "check", "rules", file])
    assert done.returncode == 0, done.stdout
    assert f"{len(asked)} rules found" in done.stdout


def test_every_figure_that_is_asked_for_is_one_that_the_service_has(figures: set[str]) -> None:
    asked = [*questions(), *(rule["expr"] for rule in rules())]
    variables = [one["definition"] for one in dashboard()["templating"]["list"]]
    for expression in (*asked, *variables):
        named = set(_NAME.findall(expression))
        assert named, expression
        assert named <= figures | _OWN, f"{named - figures} in {expression}"


def test_every_figure_of_the_service_is_looked_at(figures: set[str]) -> None:
    """A figure that nobody looks at is one that nobody needs, or a panel that is missing."""
    seen = set(_NAME.findall(" ".join([*questions(), *(rule["expr"] for rule in rules())])))
    seen |= {
        name.rsplit("_", 1)[0] for name in seen if name.endswith(("_bucket", "_sum", "_count"))
    }
    seen.add("transcriber_build_info")
    families = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in figures}
    assert families <= seen, families - seen


def test_every_kind_of_trouble_is_explained() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "TranscriberTrouble"]
    (panel,) = [panel for panel in dashboard()["panels"] if panel["title"] == "Trouble"]
    for kind in KINDS:
        assert f"{kind}: " in rule["annotations"]["description"]
        assert f"{kind}: " in panel["description"]


def test_the_panels_do_not_overlap_and_each_is_explained() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_grafana_finds_the_dashboard_and_its_figures() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    used = {panel["datasource"]["uid"] for panel in dashboard()["panels"]}
    assert used == {source["uid"]}
    compose = yaml.safe_load((DEPLOY.parent / "compose.yaml").read_text())
    mounted = {
        target: source
        for source, target, *_ in (
            volume.split(":") for volume in compose["services"]["grafana"]["volumes"]
        )
    }
    told = yaml.safe_load((PROVISIONING / "dashboards" / "audio-transcriber.yml").read_text())
    (folder,) = [provider["options"]["path"] for provider in told["providers"]]
    assert (DEPLOY.parent / mounted[folder]).resolve() == DASHBOARD.parent
