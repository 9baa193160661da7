"""What a JSON schema cannot say about the API, so that valid requests are valid: see deploy/checks/openapi.

Only requests that are meant to be valid are changed; those that are meant to be refused go out as they were made.
"""

import datetime

import schemathesis

# The demo data that the check runs on.
ITEMS = 200
SURFACES = ["home", "detail", "email"]


def fit(value, limit=128):
    """At most `limit` bytes: a schema counts characters."""
    if isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > limit:
        return value.encode("utf-8", "surrogatepass")[:limit].decode("utf-8", "ignore")
    if isinstance(value, list):
        return [fit(element, limit) for element in value]
    if isinstance(value, dict):
        return {name: fit(element, 1024 if name in ("reason", "tracking_token", "title", "labels") else limit)
                for name, element in value.items()}
    return value


def future(text):
    """A time to come, and one that exists."""
    return text and datetime.datetime.now(datetime.timezone.utc).replace(year=2100, day=1).isoformat()


def surface(text):
    return SURFACES[len(str(text)) % len(SURFACES)]


def feedback(body):
    body["item_id"] = f"i{1 + len(str(body['item_id'])) % ITEMS:06d}"
    # A token is signed, and of one list; a time is of the last decades.
    body.pop("tracking_token", None)
    if body.get("occurred_at"):
        body["occurred_at"] = "2026-01-02T03:04:05.678Z"


def is_rule(rule, depth=1):
    """Whether a rule is as shallow and as ordered as it must be."""
    if depth > 3 or not isinstance(rule, dict):
        return depth <= 3
    price = rule.get("price")
    if isinstance(price, dict) and (price.get("min") or 0) > (price.get("max") or 1e9):
        return False
    parts = [rule["not"]] if "not" in rule else rule.get("all") or rule.get("any") or []
    return len(parts) <= 3 and all(is_rule(part, depth + 1) for part in parts)


def policy(body):
    """Sums, orders, depths and what the other requests rely on."""
    for name in ("weights", "ttl", "event_weights", "diversity", "surface_overrides"):
        body.pop(name, None)
    if not is_rule(body.get("eligibility") or {}):
        body.pop("eligibility")
    for cap in body.get("frequency_caps") or []:
        cap["per"] = "24h"
        if cap.get("surface") is not None:
            cap["surface"] = surface(cap["surface"])
    for name in ("boosts", "pins", "frequency_caps"):
        # One is in nobody's way.
        if name in body:
            body[name] = [rule for rule in body[name] if is_rule(rule.get("when") or {})][:1]
    if "surfaces" in body:
        body["surfaces"] = SURFACES


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    path = case.operation.path
    case.path_parameters = fit(case.path_parameters)
    if path.endswith((":activate", ":dry_run")) and meta.phase.name != "stateful":
        # One that there is; scenarios activate what they have stored.
        case.path_parameters["version"] = "p0"
    if case.operation.method.upper() == "DELETE" and str((case.path_parameters or {}).get("item_id", "")).startswith("i0"):
        # Feedback is given of those that the demo data have.
        case.path_parameters["item_id"] = "x0"
    if path.endswith("/explain/{item_id}"):
        case.path_parameters["item_id"] = "i000001"
    query = case.query
    if isinstance(query, dict):
        case.query = query = fit(query)
        if "surface" in query:
            query["surface"] = surface(query["surface"])
        # Only of the page before; only of what trends.
        query.pop("cursor", None)
        if (case.path_parameters or {}).get("list") != "trending":
            query.pop("window", None)
    body = case.body
    if path == "/v1/feedback:batch" and isinstance(body, (str, bytes)):
        case.body = '{"user_id":"u000001","item_id":"i000001","type":"view"}\n'
    if not isinstance(body, dict):
        return
    body = fit(body)
    if path.startswith("/v1/recommendations/") and body.get("cursor"):
        body["cursor"] = "*"
    if path == "/v1/feedback":
        feedback(body)
    if path == "/v1/sessions:recommend":
        for event in body.get("events") or []:
            if event.get("occurred_at"):
                event["occurred_at"] = "2026-01-02T03:04:05.678Z"
    if path.startswith("/v1/admin/experiments"):
        # Names of their own, and sums.
        for index, variant in enumerate(body.get("variants") or []):
            variant.update(name=f"v{index}", weight=5)
        body.pop("baseline", None)
        if body.get("surface") is not None:
            body["surface"] = surface(body["surface"])
    if path.startswith("/v1/admin/policies/") and case.operation.method.upper() == "PUT":
        policy(body)
    if body.get("surface") is not None and path.startswith(("/v1/recommendations/", "/v1/sessions:", "/v1/admin/precompute", "/v1/admin/policies/")):
        body["surface"] = surface(body["surface"])
    for request in body.get("requests", []) if path == "/v1/recommendations:batch" else []:
        # A thousand items in all.
        request["limit"] = 10
        if request.get("surface") is not None:
            request["surface"] = surface(request["surface"])
    if path.startswith("/v1/items/"):
        # Before its beginning, of this request or of what is stored, an item cannot end.
        body.pop("available_until", None)
    if "expires_at" in body and case.operation.method.upper() == "POST":
        body["expires_at"] = future(body["expires_at"])
    case.body = body
