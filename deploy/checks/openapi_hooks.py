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
        return {name: fit(element, 1024 if name in ("reason", "tracking_token") else limit)
                for name, element in value.items()}
    return value


def future(text):
    """A time to come, and one that exists."""
    return text and datetime.datetime.now(datetime.timezone.utc).replace(year=2100, day=1).isoformat()


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    case.path_parameters = fit(case.path_parameters)
    query = case.query
    if isinstance(query, dict) and "surface" in query:
        query["surface"] = SURFACES[len(str(query["surface"])) % len(SURFACES)]
    body = case.body
    if not isinstance(body, dict):
        return
    body = fit(body)
    if case.operation.path == "/v1/feedback":
        body["item_id"] = f"i{1 + len(str(body['item_id'])) % ITEMS:06d}"
        # A token is signed, and of one list; a time is of the last decades.
        body.pop("tracking_token", None)
        if body.get("occurred_at"):
            body["occurred_at"] = "2026-01-02T03:04:05.678Z"
    if "expires_at" in body and case.operation.method.upper() == "POST":
        body["expires_at"] = future(body["expires_at"])
    case.body = body
