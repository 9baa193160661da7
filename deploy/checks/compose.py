"""Checks compose.yaml and what it refers to, without an engine: python compose.py VIREO

VIREO is the program: it says which settings there are. Prints what is wrong, one line each, and ends with 1 if anything is.
"""

import pathlib
import re
import subprocess
import sys

import yaml

root = pathlib.Path(__file__).resolve().parents[2]
wrong = []


def check(holds, text):
    if not holds:
        wrong.append(text)


def environment(service):
    given = service.get("environment", {})
    return given if isinstance(given, dict) else dict(entry.split("=", 1) for entry in given)


compose = yaml.safe_load((root / "compose.yaml").read_text())
services, secrets, networks = compose["services"], compose.get("secrets", {}), compose["networks"]
known = {line.split("=")[0] for line in subprocess.run(
    [sys.argv[1], "serve", "--print-config"], capture_output=True, text=True, check=True, env={}).stdout.splitlines()}
check(len(known) > 10, "vireo serve --print-config names no settings")

for name, service in services.items():
    image = service.get("image", "")
    check(re.fullmatch(r"[a-z0-9./_-]+:[a-zA-Z0-9._-]+", image) and not image.endswith(":latest"),
          f"{name}: the image {image!r} has no version")
    build = service.get("build")
    if build:
        context = root / build["context"]
        check((context / build["dockerfile"]).is_file(), f"{name}: no file {build['dockerfile']}")
    once = service.get("restart") == "no"
    check(once or "healthcheck" in service, f"{name}: no healthcheck")
    health = service.get("healthcheck", {}).get("test", ["CMD", "true"])
    check(health[0] in ("CMD", "CMD-SHELL") and len(health) > 1, f"{name}: a healthcheck begins with CMD or CMD-SHELL")
    check(service.get("networks"), f"{name}: is on the default network")
    for network in service.get("networks", []):
        check(network in networks, f"{name}: no network {network}")
    for port in service.get("ports", []):
        check(str(port).startswith("127.0.0.1:"), f"{name}: port {port} is open to the network")
    for mount in service.get("volumes", []):
        source, target, *mode = mount.split(":")
        if source.startswith((".", "/")):
            check((root / source).exists(), f"{name}: no file {source}")
            check(mode == ["ro"], f"{name}: {source} can be written to")
        else:
            check(source in compose.get("volumes", {}), f"{name}: no volume {source}")
    for secret in service.get("secrets", []):
        check(secret in secrets, f"{name}: no secret {secret}")
    used = set(re.findall(r"/run/secrets/(\w+)", str(service)))
    for mount in service.get("volumes", []):
        source = root / mount.split(":")[0]
        if source.is_file():
            used |= set(re.findall(r"/run/secrets/(\w+)", source.read_text()))
    check(used == set(service.get("secrets", [])),
          f"{name}: reads the secrets {sorted(used)}, and is given {sorted(service.get('secrets', []))}")
    for variable, value in environment(service).items():
        if variable.startswith("VIREO_"):
            check(variable.removesuffix("_FILE") in known, f"{name}: no setting {variable}")
        check(not re.search("PASSWORD|KEY|URL|TOKEN", variable) or variable.endswith("_FILE"),
              f"{name}: {variable} is a secret in the open")
        check(not re.search(r"://[^/]*:[^/]*@", str(value)), f"{name}: {variable} holds a password")
    for other, condition in service.get("depends_on", {}).items():
        check(other in services, f"{name}: no service {other}")
        kind = condition["condition"]
        if kind == "service_healthy":
            check("healthcheck" in services.get(other, {}), f"{name}: waits for the health of {other}, which has none")
        elif kind == "service_completed_successfully":
            check(services.get(other, {}).get("restart") == "no", f"{name}: waits for the end of {other}, which goes on")
        else:
            check(kind == "service_started", f"{name}: no condition {kind}")

nodes = [name for name, service in services.items() if "VIREO_NODE_ID" in environment(service)]
check(len(nodes) == 3, f"{len(nodes)} nodes")
check(len({environment(services[node])["VIREO_NODE_ID"] for node in nodes}) == len(nodes), "two nodes have one name")
for node in nodes:
    check(environment(services[node]).get("VIREO_ADMIN_ADDRESS") == f"{node}:9080", f"{node}: others cannot reach it")

nginx = (root / "deploy/nginx.conf").read_text()
check(sorted(re.findall(r"^\s*server (\w+):8080", nginx, re.M)) == sorted(nodes), "nginx has other nodes")
listen = re.search(r"listen (\d+);", nginx).group(1)
check(services["nginx"]["ports"] == [f"127.0.0.1:8080:{listen}"], "nginx listens on another port")

prometheus = yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text())
targets = [target for job in prometheus["scrape_configs"] for group in job["static_configs"] for target in group["targets"]]
check(sorted(targets) == sorted(f"{node}:9080" for node in nodes), "Prometheus has other nodes")
mounts = [mount.split(":")[:2] for mount in services["prometheus"]["volumes"]]
for rules in prometheus.get("rule_files", []) or ["none"]:
    check([f"./deploy/prometheus/{rules}", f"/etc/prometheus/{rules}"] in mounts, f"Prometheus does not see {rules}")

for name, secret in secrets.items():
    made = (root / "deploy/make-secrets").read_text()
    check(pathlib.Path(secret["file"]).parent == pathlib.Path(".vireo/secrets"), f"secret {name} is elsewhere")
    check(f"write {pathlib.Path(secret['file']).name}" in made, f"deploy/make-secrets does not make {name}")
    check(any(name in service.get("secrets", []) for service in services.values()), f"nobody reads the secret {name}")

for line in wrong:
    print(f"compose.yaml: {line}")
print(f"compose.yaml: {len(services)} services, {len(wrong)} faults")
sys.exit(bool(wrong))
