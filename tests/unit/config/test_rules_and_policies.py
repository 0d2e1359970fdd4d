"""Rules, policies and severity as packs write them, overlays and overrides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from healthmon.config.loading import load_text
from healthmon.config.site import SiteConfig
from healthmon.model.alert import (
    EVERYWHERE_ELSE,
    Above,
    Absent,
    AllOf,
    AnyOf,
    Below,
    Effect,
    Flap,
    NoData,
    Not,
    OutcomeIs,
    Outside,
    Rule,
)
from healthmon.model.condition import (
    Baseline,
    Changed,
    Delta,
    Forecast,
    Group,
    Limit,
    OfLast,
    Rate,
    Ratio,
    Slope,
    Take,
    Unit,
    Window,
)
from healthmon.model.errors import ConfigError
from healthmon.model.incident import Policy, Step
from healthmon.model.sample import Outcome, Reason

HEAD = "organisation: {id: x, name: X}\n"
RULE = "{{id: {id}, on: {on}, condition: {condition}, effect: down, no_data: hold, summary: gone}}"


def write_rules(folder: Path, *rules: str, name: str = "ours") -> Path:
    """A pack folder with one rule pack."""
    file = folder / "alerting" / "rules" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("rules:\n" + "".join(f"  - {rule}\n" for rule in rules), encoding="utf-8")
    return folder


def rule(condition: str, *, rule_id: str = "ours-1", on: str = "{probes: icmp}") -> str:
    return RULE.format(id=rule_id, on=on, condition=condition)


LOSS = "{above: {metric: icmp.loss_ratio, value: 0.2}}"


def site_with(folder: Path, text: str = "") -> SiteConfig:
    return load_text(HEAD + text, env={}, pack_dirs=[folder])


def only(site: SiteConfig, rule_id: str = "ours-1") -> Rule:
    return next(rule for rule in site.rules if rule.id == rule_id)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{outcome: failed}", OutcomeIs((Outcome.FAILED,))),
        (
            "{outcome: [failed, unknown], reason: [timeout, refused]}",
            OutcomeIs((Outcome.FAILED, Outcome.UNKNOWN), (Reason.TIMEOUT, Reason.REFUSED)),
        ),
        ("{above: {metric: icmp.loss_ratio, value: 0.2}}", Above("icmp.loss_ratio", 0.2)),
        ("{below: {metric: icmp.loss_ratio, value: 0.1}}", Below("icmp.loss_ratio", 0.1)),
        ("{outside: {metric: icmp.loss_ratio, low: 0, high: 1}}", Outside("icmp.loss_ratio", 0.0, 1.0)),
        ("{absent: 30s}", Absent(30.0)),
        ("{any: [{outcome: failed}, {absent: 1m}]}", AnyOf((OutcomeIs((Outcome.FAILED,)), Absent(60.0)))),
        (
            "{all: [{outcome: failed}, {changed: {metric: tls.version}}]}",
            AllOf((OutcomeIs((Outcome.FAILED,)), Changed("tls.version"))),
        ),
        ("{above: {metric: icmp.loss_ratio, value: 0.2, label: loss}}", Above("icmp.loss_ratio", 0.2, "loss")),
        (
            "{window: {metric: icmp.loss_ratio, over: 5m, take: p95, above: 0.1}}",
            Window("icmp.loss_ratio", 300.0, Take.PERCENTILE, Limit(high=0.1), 0.95),
        ),
        (
            "{window: {metric: icmp.loss_ratio, over: 1h, take: avg, outside: [0.1, 0.2], least: 5}}",
            Window("icmp.loss_ratio", 3600.0, Take.AVG, Limit(0.1, 0.2), least=5),
        ),
        (
            "{rate: {metric: snmp_if.in_bytes_total, over: 5m, above: 10, bits: 64}}",
            Rate("snmp_if.in_bytes_total", 300.0, Limit(high=10.0), bits=64),
        ),
        (
            "{slope: {metric: snmp_sensor.inlet_celsius, over: 30m, above: 5}}",
            Slope("snmp_sensor.inlet_celsius", 1800.0, Limit(high=5.0), 3600.0),
        ),
        (
            "{delta: {metric: snmp_sensor.inlet_celsius, over: 30m, below: -3}}",
            Delta("snmp_sensor.inlet_celsius", 1800.0, Limit(low=-3.0)),
        ),
        (
            "{ratio: {metric: snmp_if.in_errors_total, of: snmp_if.in_bytes_total, over: 5m, above: 0.1, least: 9}}",
            Ratio("snmp_if.in_errors_total", "snmp_if.in_bytes_total", Limit(high=0.1), 300.0, 9.0),
        ),
        ("{changed: {metric: tls.version, over: 10m}}", Changed("tls.version", 600.0)),
        (
            "{of_last: {n: 3, of: 5, condition: {outcome: failed}}}",
            OfLast(3, 5, OutcomeIs((Outcome.FAILED,))),
        ),
        (
            "{baseline: {metric: http.duration_seconds, factor: 3, mads: 5, floor: 0.5, side: both}}",
            Baseline("http.duration_seconds", 3.0, 5.0, 0.5, above=True, below=True),
        ),
        (
            "{forecast: {metric: host_disk.used_ratio, above: 0.98, within: 24h, over: 3h}}",
            Forecast("host_disk.used_ratio", Limit(high=0.98), 86_400.0, 10_800.0),
        ),
        (
            "{group: {where: {outcome: failed}, count: areas, by: site, share: 0.05, at_least: 3, out_of: 20}}",
            Group(OutcomeIs((Outcome.FAILED,)), Unit.AREAS, 0.05, 3, 20, "site"),
        ),
        ("{any: [{outcome: failed}, {not: {outcome: ok}}]}",
         AnyOf((OutcomeIs((Outcome.FAILED,)), Not(OutcomeIs((Outcome.OK,)))))),
    ],
)  # fmt: skip
def test_conditions(tmp_path: Path, written: str, expected: object) -> None:
    assert only(site_with(write_rules(tmp_path, rule(written)))).condition == expected


def test_every_field_of_a_rule(tmp_path: Path) -> None:
    written = (
        "{id: ours-1, on: {kinds: [switch], probes: [icmp], checks: [up], labels: {mount: /}, "
        "sites: [x], area_kinds: [ed], acuity: [critical], tiers: [0, 1], roles: [server]}, flap: true, "
        "condition: {outcome: failed}, clear: {outcome: ok}, effect: degraded, no_data: alert, summary: slow, "
        "hold: 1m, confirm: 3, clear_confirm: 2, keep: 5m, stale: 90s, certainty: threshold, "
        "runbook: runbooks/slow.md, mode: shadow}"
    )
    made = only(site_with(write_rules(tmp_path, written)))

    assert (made.hold_s, made.keep_s, made.stale_s) == (60.0, 300.0, 90.0)
    assert (made.confirm, made.clear_confirm) == (3, 2)
    assert (made.effect, made.no_data) == (Effect.DEGRADED, NoData.ALERT)
    assert made.clear == OutcomeIs((Outcome.OK,))
    assert (made.certainty, made.runbook, made.mode) == ("threshold", "runbooks/slow.md", "shadow")
    assert made.on.kinds == ("switch",)
    assert made.on.probes == ("icmp",)
    assert made.on.checks == ("up",)
    assert made.on.labels == {"mount": "/"}
    assert (made.on.sites, made.on.area_kinds, made.on.acuities) == (("x",), ("ed",), ("critical",))
    assert (made.on.tiers, made.on.roles) == ((0, 1), ("server",))
    assert made.flap == Flap(0.30, 0.25)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (rule("{}"), "a condition has exactly one kind (allowed: outcome, above"),
        (rule("{outcome: failed, absent: 3s}"), "a condition has exactly one kind"),
        (rule("{absent: 3s, reason: timeout}"), "`reason` needs `outcome` beside it"),
        (rule("{outcome: faild}"), "'faild' is not known, did you mean 'failed'? (allowed: failed, ok, unknown)"),
        (rule("{above: {metric: icmp, value: 1}}"), "'icmp' does not have the form"),
        (rule("{above: {metric: icmp.los_ratio, value: 0.5}}"), "nothing emits 'icmp.los_ratio' (allowed: icmp."),
        (rule("{not: {above: {metric: ipcm.loss_ratio, value: 0.5}}}"), "did you mean 'icmp.loss_ratio'?"),
        (
            rule("{above: {metric: icmp.loss_ratio, value: 1.2}}"),
            "can never hold: 'icmp.loss_ratio' is between 0 and 1",
        ),
        (
            rule("{window: {metric: icmp.loss_ratio, over: 5m, take: max, below: 0}}"),
            "condition.window: can never hold: 'icmp.loss_ratio' is between 0 and 1",
        ),
        (
            rule("{outcome: failed}").replace(
                "effect",
                "clear: {all: [{above: {metric: icmp.loss_ratio, value: 0.5}}, "
                "{below: {metric: icmp.loss_ratio, value: 0.4}}]}, effect",
            ),
            "clear.all[1]: can never hold beside the other parts: no 'icmp.loss_ratio' is both",
        ),
        (rule("{window: {metric: icmp.loss_ratio, over: 5m, take: median, above: 0.1}}"), "does not have the form"),
        (rule("{window: {metric: icmp.loss_ratio, over: 0s, take: max, above: 0.1}}"), "must be more than 0"),
        (
            rule("{rate: {metric: snmp_if.in_bytes_total, over: 5m}}"),
            "needs exactly one limit (allowed: above,",
        ),
        (rule("{of_last: {n: 6, of: 5, condition: {outcome: failed}}}"), "6 of 5 can never be"),
        (rule("{of_last: {n: 1, of: 5, condition: {absent: 3s}}}"), "silence is no reading"),
        (rule("{outside: {metric: icmp.loss_ratio, low: 0.5, high: 0.1}}"), "always holds: `low` must not be more"),
        (rule("{outcome: []}"), "must have at least 1 item"),
        (rule("{outcome: failed, reason: []}"), "must have at least 1 item"),
        (rule("{absent: 0s}"), "must be more than 0"),
        (rule("{not: {absent: 3s}}"), "silence is no reading: `absent` cannot be negated"),
        (rule("{outcome: failed}").replace("effect", "clear: {absent: 3s}, effect"), "`clear` cannot ask for `absent`"),
        (rule(f"{{all: [{{absent: 3s}}, {LOSS}]}}"), "silence would fire alone: `absent` cannot stand in `all`"),
        (rule(f"{{all: [{{any: [{{absent: 3s}}, {LOSS}]}}, {LOSS}]}}"), "silence would fire alone"),
        (rule(f"{{group: {{where: {{any: [{{absent: 3s}}, {LOSS}]}}, at_least: 2}}}}"), "`absent` stands alone as"),
        (rule(LOSS).replace("effect", f"clear: {LOSS}, effect"), "no good value would clear it: both are `above`"),
        (
            rule("{slope: {metric: icmp.loss_ratio, over: 5m, below: -1}}").replace(
                "effect", "clear: {slope: {metric: icmp.loss_ratio, over: 9m, below: 0}}, effect"
            ),
            "no good value would clear it: both are `below` (allowed: above)",
        ),
        (rule("{baseline: {metric: http.duration_seconds, factor: 3}}"), "key 'floor' is missing"),
        (rule("{baseline: {metric: http.duration_seconds, floor: 3}}"), "needs `factor` or `mads` beside `floor`"),
        (rule("{group: {where: {outcome: failed}}}"), "needs `share` or `at_least`"),
        (rule("{not: {group: {where: {outcome: failed}, at_least: 2}}}"), "a group stands alone"),
        (
            rule("{group: {where: {outcome: failed}, at_least: 2}}").replace("effect", "confirm: 3, effect"),
            "confirm: a group is judged when a count moves: use `hold` and `keep`",
        ),
        (rule("{outcome: failed}", on="{agents: true}"), "of agents only their silence can be asked"),
        (rule("{outcome: failed}", on="{sites: [y]}"), "unknown name 'y'"),
        (rule("{outcome: failed}", on="{area_kinds: [wards]}"), "'wards' is not known, did you mean 'ward'?"),
        (rule("{outcome: failed}", on="{probes: icpm}"), "unknown name 'icpm', did you mean 'icmp'?"),
        (rule("{outcome: failed}", on="{targets: [sw-9]}"), "unknown name 'sw-9'"),
        (rule("{outcome: failed}", on="{areas: [ward-9]}"), "unknown name 'ward-9'"),
        (rule("{outcome: failed}", on="{prob: icmp}"), "unknown key, did you mean 'probes'?"),
        (rule("{outcome: failed}").replace("no_data: hold, ", ""), "key 'no_data' is missing"),
        (rule("{outcome: failed}").replace("hold,", "wait,"), "'wait' is not known (allowed: alert, clear, hold)"),
    ],
)
def test_bad_rules_are_told_at_their_place_in_the_pack(tmp_path: Path, written: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_with(write_rules(tmp_path, written))

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{tmp_path}/alerting/rules/ours.yaml:2:")
    assert message in caught.value.problems[0]


@pytest.mark.parametrize(
    "written",
    [
        rule(f"{{any: [{{absent: 3s}}, {LOSS}]}}"),
        rule("{group: {where: {absent: 3s}, at_least: 5, out_of: 3}}"),
        rule("{outside: {metric: icmp.loss_ratio, low: 0.5, high: 0.5}}"),
        rule(LOSS).replace("effect", "clear: {below: {metric: icmp.loss_ratio, value: 0.3}}, effect"),
        rule(LOSS).replace("effect", "clear: {above: {metric: icmp.sent, value: 0.3}}, effect"),
        rule(LOSS).replace("effect", "clear: {outcome: ok}, effect"),
    ],
)
def test_rules_that_look_odd_and_work_are_taken(tmp_path: Path, written: str) -> None:
    assert only(site_with(write_rules(tmp_path, written)))


def test_one_id_in_two_packs_is_told_with_both_places(tmp_path: Path) -> None:
    write_rules(tmp_path, rule("{outcome: failed}"))
    write_rules(tmp_path, rule("{outcome: failed}"), name="second")

    with pytest.raises(ConfigError, match=r"second\.yaml:2:10: .*already used at .*ours\.yaml:2:10"):
        site_with(tmp_path)


def test_a_pack_of_the_same_name_hides_the_one_below(tmp_path: Path) -> None:
    below = write_rules(tmp_path / "below", rule("{outcome: failed}", rule_id="from-below"))
    above = write_rules(tmp_path / "above", rule("{outcome: failed}", rule_id="from-above"))
    ids = {rule.id for rule in load_text(HEAD, env={}, pack_dirs=[below, above]).rules}

    assert "from-above" in ids
    assert "from-below" not in ids


def test_packs_of_the_configuration_lie_beside_it(tmp_path: Path) -> None:
    write_rules(tmp_path / "packs", rule("{outcome: failed}"))
    file = tmp_path / "healthmon.yaml"
    file.write_text(f"{HEAD}packs: packs\n", encoding="utf-8")
    from healthmon.config import load

    assert only(load(file, env={})).summary == "gone"


def test_rule_packs_are_chosen_by_name(tmp_path: Path) -> None:
    write_rules(tmp_path, rule("{outcome: failed}"))
    write_rules(tmp_path, rule("{outcome: failed}", rule_id="other"), name="second")

    assert [one.id for one in site_with(tmp_path, "alerting: {packs: [second]}").rules] == ["other"]
    with pytest.raises(ConfigError, match=r"unknown rule pack 'secnd', did you mean 'second'\? \(allowed: .*stock"):
        site_with(tmp_path, "alerting: {packs: [secnd]}")


def test_overrides_change_a_rule(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, rule("{above: {metric: icmp.loss_ratio, value: 0.2}}"))
    site = site_with(
        folder,
        "alerting: {overrides: {rules: {ours-1: {mode: live, hold: 2m, keep: 1m, stale: 9s, confirm: 5, "
        "clear_confirm: 4, value: 0.5}}}}",
    )
    made = only(site)

    assert made.mode == "live"
    assert (made.hold_s, made.keep_s, made.stale_s, made.confirm, made.clear_confirm) == (120.0, 60.0, 9.0, 5, 4)
    assert made.condition == Above("icmp.loss_ratio", 0.5)
    assert site.alerting.rule_modes == {"ours-1": "live"}


@pytest.mark.parametrize(
    ("condition", "moved"),
    [
        (
            "{window: {metric: icmp.loss_ratio, over: 5m, take: avg, below: 0.1}}",
            Window("icmp.loss_ratio", 300.0, Take.AVG, Limit(low=0.5)),
        ),
        (
            "{of_last: {n: 1, of: 2, condition: {above: {metric: icmp.loss_ratio, value: 0.2}}}}",
            OfLast(1, 2, Above("icmp.loss_ratio", 0.5)),
        ),
    ],
)
def test_the_one_limit_of_a_rule_is_its_value(tmp_path: Path, condition: str, moved: object) -> None:
    folder = write_rules(tmp_path, rule(condition))
    site = site_with(folder, "alerting: {overrides: {rules: {ours-1: {value: 0.5}}}}")

    assert only(site).condition == moved


def test_a_rule_differs_in_one_place(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, rule("{above: {metric: icmp.loss_ratio, value: 0.2}}"))
    site = site_with(
        folder,
        "areas: [{id: ed, name: ED, kind: ed}]\nalerting: {overrides: {rules: {ours-1: {hold: 1m}}, "
        "areas: {ed: {rules: {ours-1: {value: 0.1}}}}, sites: {x: {rules: {ours-1: {enabled: false}}}}}}",
    )
    made = only(site)

    assert made.places["site:x"] is None
    assert made.places["area:ed"] is not None
    assert (made.places["area:ed"].condition, made.places["area:ed"].hold_s) == (Above("icmp.loss_ratio", 0.1), 60.0)
    assert (made.hold_s, site.alerting.area_modes) == (60.0, {})


def test_a_rule_that_is_off_may_be_on_in_one_place(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, rule("{outcome: failed}"))
    site = site_with(
        folder,
        "areas: [{id: ed, name: ED, kind: ed}]\nalerting: {overrides: {rules: {ours-1: {enabled: false}}, "
        "areas: {ed: {rules: {ours-1: {}}}}}}",
    )

    assert only(site).places == {"area:ed": replace(only(site), places={}), EVERYWHERE_ELSE: None}


def test_a_rule_can_be_switched_off(tmp_path: Path) -> None:
    folder = write_rules(tmp_path, rule("{outcome: failed}"))
    site = site_with(folder, "alerting: {overrides: {rules: {ours-1: {enabled: false}}}}")

    assert "ours-1" not in {one.id for one in site.rules}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ours-2: live", "unknown rule, did you mean 'ours-1'?"),
        ("ours-1: {value: 3}", "only a rule with one `above` or `below` has a value to override"),
        ("ours-1: {value: 3, hold: 1}", "is not a duration"),
        ("ours-1: loud", "'loud' is not known (allowed: live, shadow)"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, message: str) -> None:
    folder = write_rules(tmp_path, rule("{outcome: failed}"))

    with pytest.raises(ConfigError) as caught:
        site_with(folder, f"alerting: {{overrides: {{rules: {{{override}}}}}}}")

    assert message in caught.value.problems[0]


def test_modes_by_place() -> None:
    site = load_text(
        HEAD
        + """
areas: [{id: ed, name: ED, kind: ed}]
alerting: {mode: live, overrides: {sites: {x: shadow}, areas: {ed: {mode: live}}}}
""",
        env={},
    )

    assert (site.alerting.mode, site.alerting.site_modes, site.alerting.area_modes) == (
        "live",
        {"x": "shadow"},
        {"ed": "live"},
    )


CHANNELS = (
    'notify: {channels: {post: {kind: inbox, path: p}, pager: {kind: webhook, url: "https://pager.example/x"}}}\n'
)


def test_policies_of_the_site_replace_those_of_the_packs() -> None:
    site = load_text(
        HEAD
        + CHANNELS
        + "teams: {net: {}}\n"
        + "oncall: {policies: [{id: all, severities: [1], teams: [net], "
        + "steps: [{after: 5m, channels: [post]}, {channels: pager}]}]}",
        env={},
    )

    assert site.policies == (Policy("all", (Step(0.0, ("pager",)), Step(300.0, ("post",))), (1,), ("net",)),)


def test_a_stock_step_tells_the_channels_that_there_are(tmp_path: Path) -> None:
    file = tmp_path / "alerting" / "policies" / "default.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "policies: [{id: p, steps: [{channels: [pager, sms]}, {after: 1m, channels: [sms]}]}]", encoding="utf-8"
    )
    (policy,) = site_with(tmp_path, CHANNELS).policies

    assert [step.channels for step in policy.steps] == [("pager",), ("post", "pager")]


def test_severity_and_waking_tables_can_be_overlaid(tmp_path: Path) -> None:
    for name, text in (("severity", "many_areas: 4\n"), ("waking", "rules: [{severities: [1], do: page}]\n")):
        (tmp_path / "alerting" / name).mkdir(parents=True)
        (tmp_path / "alerting" / name / "default.yaml").write_text(text, encoding="utf-8")
    site = site_with(tmp_path)

    assert site.severity.many_areas == 4
    assert len(site.waking.rules) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("severity", "many_area: 4\n", "default.yaml:1:1: many_area: unknown key, did you mean 'many_areas'?"),
        ("severity", "many_areas: lots\n", "default.yaml:1:13: many_areas: 'lots' must be a whole number"),
        ("severity", "matrix: [[1]]\n", "default.yaml:1:1: matrix must be 5 rows of 5"),
        ("waking", "night: {from: late, to: '07:00'}\nrules: []\n", "default.yaml:1:8: night: 'late'"),
        ("waking", "night: {from: '22:00', to: '07:00'}\n", "default.yaml:1:1: key 'rules' is missing"),
        ("policies", "policies: [{id: p, step: []}]\n", "policies[p].step: unknown key, did you mean 'steps'?"),
    ],
)
def test_bad_tables_are_told_at_their_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "alerting" / name).mkdir(parents=True)
    (tmp_path / "alerting" / name / "default.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        site_with(tmp_path)

    assert any(message in line for line in caught.value.problems)


def test_single_messages_can_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "alerting" / "text").mkdir(parents=True)
    (tmp_path / "alerting" / "text" / "en.yaml").write_text("messages: {areas_all: everywhere}\n", encoding="utf-8")
    text = site_with(tmp_path).text

    assert text["areas_all"] == "everywhere"
    assert text["state_lost"] == "not available"


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("{areas_al: x}", "messages.areas_al: unknown message, did you mean 'areas_all'?"),
        ("{areas_many: '{number} areas'}", "unknown placeholder {number} (allowed: count)"),
        ("{areas_many: '{count areas'}", "is not a text with {placeholders}"),
        ("{areas_many: [a]}", "messages.areas_many: must be text"),
    ],
)
def test_bad_messages(tmp_path: Path, message: str, problem: str) -> None:
    (tmp_path / "alerting" / "text").mkdir(parents=True)
    (tmp_path / "alerting" / "text" / "en.yaml").write_text(f"messages: {message}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        site_with(tmp_path)

    assert problem in caught.value.problems[0]
