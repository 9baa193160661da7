"""What a fit takes from PostgreSQL, by JDBC."""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

from errors import BadURL, DatabaseError, MissingDriver, UnknownTenant
from py4j.protocol import Py4JJavaError

# What both libpq and the driver know, by libpq's name: the driver's.
OPTIONS = {
    "sslmode": "sslmode", "sslrootcert": "sslrootcert", "sslcert": "sslcert", "sslkey": "sslkey",
    "connect_timeout": "connectTimeout", "application_name": "ApplicationName",
}
EVENT_CODES = {
    "view": 1, "click": 2, "add_to_cart": 3, "purchase": 4, "rating": 5, "like": 6, "dislike": 7, "hide": 8,
}
# The built-in policy's.
EVENT_WEIGHTS = {
    "view": 0.2, "click": 1, "add_to_cart": 3, "purchase": 5, "rating": 1, "like": 3, "dislike": -2, "hide": -3,
}


def url(environment):
    """VIREO_POSTGRES_URL, or what is in the file that VIREO_POSTGRES_URL_FILE names."""
    value, path = (environment.get("VIREO_POSTGRES_URL" + end) for end in ("", "_FILE"))
    if value and path:
        raise BadURL("VIREO_POSTGRES_URL or VIREO_POSTGRES_URL_FILE, not both")
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                value = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadURL(f"VIREO_POSTGRES_URL_FILE cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}") from None
    if not value:
        raise BadURL("VIREO_POSTGRES_URL is required: postgresql://user:password@host:port/database")
    return value


def connection(text):
    """Spark's options for a URL as libpq takes it. No message here has any of it in it: there is a password inside."""
    try:
        parts = urlsplit(text)
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, separator, password = credentials.partition(":")
        database = unquote(parts.path[1:]) or unquote(user)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise BadURL("VIREO_POSTGRES_URL must be postgresql://user:password@host:port/database") from None
    if parts.scheme not in ("postgresql", "postgres") or not user or not hosts or "/" in database or "%2F" in hosts.upper():
        raise BadURL("VIREO_POSTGRES_URL must be postgresql://user:password@host:port/database, over TCP")
    options = {
        "url": f"jdbc:postgresql://{hosts}/{database}", "driver": "org.postgresql.Driver", "user": unquote(user),
        "ApplicationName": "vireo-spark",
    }
    if separator:
        options["password"] = unquote(password)
    for name, value in query:
        if name not in OPTIONS:
            raise BadURL(f"VIREO_POSTGRES_URL may have only these parameters here: {', '.join(OPTIONS)}")
        options[OPTIONS[name]] = value
    return options


def literal(text):
    return "'" + text.replace("'", "''") + "'"


class Store:
    """The tables of one tenant."""

    # Rows that the driver takes at once.
    FETCHED = 10_000

    def __init__(self, spark, tenant, environment=None):
        self.spark = spark
        self.options = connection(url(os.environ if environment is None else environment))
        found = self.rows(f"SELECT tenant FROM tenants WHERE tenant_id = {literal(tenant)}")
        if not found:
            raise UnknownTenant(tenant)
        self.tenant = found[0].tenant

    def read(self, query, **partitions):
        reader = self.spark.read.format("jdbc").options(**self.options, **partitions)
        try:
            return reader.option("dbtable", f"({query}) AS q").option("fetchsize", self.FETCHED).load()
        except Py4JJavaError as error:
            raise translated(error) from None

    def rows(self, query):
        try:
            return self.read(query).collect()
        except Py4JJavaError as error:
            raise translated(error) from None

    def event_weights(self):
        """By code, of the policy in force."""
        found = self.rows(
            f"""SELECT w.key, w.value::text::real AS weight FROM (SELECT version FROM policy_activations
            WHERE tenant = {self.tenant} ORDER BY epoch DESC LIMIT 1) a JOIN policies p ON p.tenant = {self.tenant}
            AND p.version = a.version, jsonb_each(p.document -> 'event_weights') w WHERE w.value <> 'null'"""
        )
        weights = EVENT_WEIGHTS | {row.key: row.weight for row in found}
        return {EVENT_CODES[name]: weight for name, weight in weights.items() if name in EVENT_CODES}

    def item_count(self):
        """The highest item number plus one."""
        return self.rows(f"SELECT coalesce(max(number) + 1, 0) AS count FROM items WHERE tenant = {self.tenant}")[0]["count"]

    def items(self):
        return self.read(f"SELECT number, item_id FROM items WHERE tenant = {self.tenant}")

    def interactions(self, partitions):
        """Over so many connections, each a range of users; of users, because the index is by them.

        The connections do not see one moment: what is written meanwhile may be missing of one user and there of another.
        """
        bounds = self.rows(
            f"SELECT coalesce(min(number), 0) AS low, coalesce(max(number), 0) + 1 AS high FROM user_state WHERE tenant = {self.tenant}"
        )[0]
        return self.read(
            f"""SELECT user_number, item_number, type, value,
            (extract(epoch FROM occurred_at) * 1000000)::bigint / 1000000 AS seconds FROM interactions
            WHERE tenant = {self.tenant}""",
            partitionColumn="user_number", lowerBound=bounds.low, upperBound=bounds.high, numPartitions=partitions,
        )


def translated(error):
    """An error of the JVM as one of ours, without the plan and the stack."""
    cause = error.java_exception
    while True:
        name, message = cause.getClass().getName(), cause.getMessage() or ""
        if name == "java.lang.ClassNotFoundException" and "org.postgresql.Driver" in message:
            return MissingDriver()
        if name.startswith("org.postgresql."):
            return DatabaseError(f"PostgreSQL: {message.splitlines()[0] if message else name}")
        if "PSQLException" in message:
            # Of a task: its text is all there is of it.
            text = message[message.index("PSQLException"):].splitlines()[0].partition(": ")[2]
            return DatabaseError(f"PostgreSQL: {text}")
        if cause.getCause() is None:
            return error
        cause = cause.getCause()
