"""Why there is no model."""


class JobError(Exception):
    """What ends the job with exit code 1 and one line."""


class BadURL(JobError):
    """VIREO_POSTGRES_URL is missing, or not one that JDBC can be given."""


class MissingDriver(JobError):
    def __init__(self):
        super().__init__(
            "the PostgreSQL JDBC driver is not on the class path: --jars /usr/share/java/postgresql.jar "
            "(Debian: libpostgresql-jdbc-java)"
        )


class DatabaseError(JobError):
    """What PostgreSQL or its driver said."""


class UnknownTenant(JobError):
    def __init__(self, tenant):
        super().__init__(f"there is no tenant {tenant!r}")


class NoInteractions(JobError):
    def __init__(self, tenant):
        super().__init__(f"tenant {tenant!r} has no interactions that count for an item of its catalogue")


class NoNeighbours(JobError):
    def __init__(self):
        super().__init__("no two items of the catalogue have a user in common")


class ShardsExist(JobError):
    def __init__(self, uri):
        super().__init__(f"{uri} is there already: --shards must name a folder to be made")


class ShardsIncomplete(JobError):
    def __init__(self, found, written):
        super().__init__(
            f"{found} of {written} lines are in the folder of shards: --shards must name one that all workers share"
        )


class MissingProgram(JobError):
    def __init__(self, program):
        super().__init__(f"{program!r} is no program on this machine: name it with --vireo, or keep shards with --no-import")


class ImportFailed(JobError):
    def __init__(self, status):
        super().__init__(f"vireo models import ended with {status}; nothing else was done")
