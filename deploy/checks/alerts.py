"""Checks the rules against a node that runs and a Prometheus that reads it: python alerts.py API ADMINISTRATION PROMETHEUS

With the keys in APP_KEY and ADMIN_KEY. Every metric that a rule names is exported, with the labels and each of the values that
it asks for; every rule is evaluated; none fires. Prints what is wrong, one line each, and ends with 1 if anything is.
"""

import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

api, administration, prometheus = sys.argv[1:]
folder = pathlib.Path(__file__).resolve().parents[1] / "prometheus"
rules = [rule for group in yaml.safe_load((folder / "rules.yml").read_text())["groups"] for rule in group["rules"]]
tests = (folder / "rules_test.yml").read_text()
wrong = []


def check(holds, text):
    if not holds:
        wrong.append(text)


def call(url, key=None, body=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def ask(path, **query):
    return call(f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}")["data"]


def patiently(what, seconds, condition):
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return True
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() >= end:
            check(False, what)
            return False
        time.sleep(0.5)


# What stands in a rule beside metrics: functions, labels to group by, numbers, durations.
words = set("sum by rate increase histogram_quantile and job instance kind part pool surface le s m".split())
selector = re.compile(r'\b((?:vireo|redis|process)_\w+|up)\b(\{(?:[^{}"]|"[^"]*")*\})?')
wanted = set()
for rule in rules:
    name, text = rule["alert"], rule["expr"]
    found = selector.findall(text)
    check(found, f"{name}: names no metric")
    rest = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\b\d+[smh]\b", "", selector.sub("", text))))
    check(rest <= words, f"{name}: {sorted(rest - words)} is neither a word of PromQL known here nor a metric")
    check("for" in rule, f"{name}: no time that it has to hold for")
    check(rule["labels"].get("severity") in ("critical", "warning"), f"{name}: no severity")
    check({"summary", "action"} <= set(rule["annotations"]), f"{name}: does not say what it is and what to do")
    check(f'alertname="{name}", alertstate="firing", severity' in tests, f"{name}: rules_test.yml does not see it fire")
    for metric, matchers in found:
        # Nothing fails at a node that is well.
        matchers = matchers.replace('status=~"5.."', 'status=~".+"')
        options = [matchers]
        for alternatives in re.findall(r'=~"([^"]*\|[^"]*)"', matchers):
            options = [option.replace(f'=~"{alternatives}"', f'="{value}"') for option in options
                       for value in alternatives.split("|")]
        wanted |= {metric + option for option in options}

app, admin = os.environ["APP_KEY"], os.environ["ADMIN_KEY"]
shown = call(f"{api}/v1/recommendations/u000001", app)
tokens = [{"item_id": item["item_id"], "tracking_token": item["tracking_token"]} for item in shown["items"]]
call(f"{api}/v1/impressions", app, {"recommendation_id": shown["recommendation_id"], "items": tokens})
call(f"{api}/v1/feedback", app, tokens[0] | {"user_id": "u000001", "type": "click"})
call(f"{api}/v1/feedback", app, {"event_id": "alerts", "user_id": "u000001", "item_id": "i000001", "type": "purchase"})
call(f"{administration}/v1/admin/tombstones", admin, {"kind": "item", "ids": ["i000002"]})
# The last check of the self-check is after a minute.
end = time.monotonic() + 100
for metric in sorted(wanted):
    patiently(f"no such series at a node that runs: {metric}", max(1, end - time.monotonic()),
              lambda: ask("series", **{"match[]": metric}))


def evaluated():
    running = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
    return len(running) == len(rules) and all(rule["health"] == "ok" for rule in running)


patiently("Prometheus does not evaluate all rules", 10, evaluated)
for alert in ask("query", query='ALERTS{alertstate="firing"}')["result"]:
    check(False, f"fires at a node that is well: {alert['metric']}")

for line in wrong:
    print(f"rules.yml: {line}")
print(f"rules.yml: {len(rules)} rules, {len(wanted)} series, {len(wrong)} faults")
sys.exit(bool(wrong))
