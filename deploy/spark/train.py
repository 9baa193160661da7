"""Fits the neighbours of a tenant's items on Spark, for data that one machine does not hold, and hands them to Vireo.

    VIREO_POSTGRES_URL=… deploy/spark/run --recipe product --vireo .build/release/vireo --activate

Reads interactions from PostgreSQL over several connections, computes what `vireo train --recipe NAME` computes, writes the
neighbours as NDJSON in shards, and calls `vireo models import`, which fits popularity, content and trends from the store and
registers the version. Nothing is compared before it goes into service: an imported model has no figures, and
VIREO_MODEL_GUARD_PCT does not hold for it. No schedule replaces it. Exits 0; 1 and one line where there is no model; 2 on bad
usage. See README.md beside this file.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import histories
import products
import recipes
from errors import ImportFailed, JobError, MissingProgram, NoInteractions, NoNeighbours, ShardsExist, ShardsIncomplete
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F
from store import Store, translated


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__.splitlines()[0],
        epilog="PostgreSQL's URL is taken from VIREO_POSTGRES_URL or VIREO_POSTGRES_URL_FILE, as vireo takes it.",
    )
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--recipe", default=recipes.STANDARD, choices=sorted(recipes.RECIPES))
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=NUMBER",
        help="other than the recipe's usual one, for example user=0.8; `vireo models show` has those of a version",
    )
    parser.add_argument("--partitions", type=int, help="parts of the interactions; as many connections at most")
    parser.add_argument("--shards", metavar="URI", help="a folder that is not there yet and all workers share, kept; needed on a cluster")
    parser.add_argument("--no-import", action="store_true", help="only write shards")
    parser.add_argument("--vireo", default="vireo", help="the program")
    parser.add_argument("--activate", action="store_true", help="put the version into service once every node has loaded it")
    options = parser.parse_args(argv)
    if options.partitions is not None and options.partitions < 1:
        parser.error("--partitions must be 1 or more")
    if options.no_import and (options.activate or not options.shards):
        parser.error("--no-import needs --shards, and nothing is there to be activated")
    usual = recipes.RECIPES[options.recipe]
    options.parameters = dict(usual)
    for text in options.parameter:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in usual or not math.isfinite(value):
            parser.error(f"--parameter must be NAME=NUMBER; {options.recipe} has {', '.join(usual) or 'none'}")
        options.parameters[name] = value
    return options


@contextmanager
def step(name):
    start = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)


def fit(store, plan, partitions, tenant, history=histories.HISTORY, weights=None):
    """Weighed edges between item numbers, as half floats."""
    context = store.spark.sparkContext
    item_count = store.item_count()
    rows = histories.item_sets(
        store.interactions(partitions), weights or store.event_weights(), item_count, history
    ).persist(StorageLevel.MEMORY_AND_DISK)
    with step("interactions"):
        degree, cost = products.degrees(rows, item_count)
    if not degree.any():
        raise NoInteractions(tenant)
    tables, blocks = products.deal(degree, cost, least=4 * context.defaultParallelism)
    with step(f"product of {degree.sum()} pairs with {(degree > 0).sum()} items in {blocks} blocks, {cost.sum()} sums"):
        edges = products.edges(rows, plan, tables, blocks).persist(StorageLevel.MEMORY_AND_DISK)
        edges.count()
    weighed = products.divided_by_columns(edges, plan.column_sum)
    extremes = weighed.where("weight > 0").agg(F.min("weight").alias("least"), F.max("weight").alias("largest")).first()
    if extremes.largest is None:
        raise NoNeighbours()
    return products.halved(weighed, extremes.least, extremes.largest)


def named(edges, items):
    """Edges between ids. An item that is not in the catalogue any more has none."""
    of, other = (items.withColumnsRenamed({"number": number, "item_id": name}) for number, name in (("item", "of"), ("neighbour", "other")))
    return edges.join(of, "item").join(other, "neighbour").select(
        F.col("of").alias("item"), F.col("other").alias("neighbour"), "weight"
    )


def write(edges, uri):
    """NDJSON, a shard a partition; the number of lines."""
    counted = Observation()
    lines = edges.observe(counted, F.count(F.lit(1)).alias("lines")).select(F.to_json(F.struct("item", "neighbour", "weight")))
    lines.write.text(uri)
    return counted.get["lines"]


def place(spark, uri):
    """A folder of whatever storage the URI names, and that storage."""
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)
    return path, path.getFileSystem(spark._jsc.hadoopConfiguration())


def gather(spark, uri, file):
    """All shards in one file here, which is what an import takes; the number of lines."""
    path, system = place(spark, uri)
    found = 0
    with tempfile.TemporaryDirectory(dir=os.path.dirname(file)) as folder, open(file, "wb") as whole:
        part = os.path.join(folder, "part")
        local = spark._jvm.org.apache.hadoop.fs.Path(f"file://{part}")
        for status in sorted(system.listStatus(path), key=lambda status: status.getPath().getName()):
            if not status.getPath().getName().startswith("part-"):
                continue
            system.copyToLocalFile(False, status.getPath(), local, True)
            with open(part, "rb") as shard:
                while block := shard.read(1 << 20):
                    found += block.count(b"\n")
                    whole.write(block)
            os.remove(part)
    return found


def publish(options, file):
    """The import has the database from the environment, as this program has."""
    command = [options.vireo, "models", "import", file, "--format", "ndjson", "--tenant", options.tenant]
    command += ["--neighbours", str(products.NEIGHBOURS)] + ["--activate"] * options.activate
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ImportFailed(status)


def run(spark, options, scratch):
    program = None if options.no_import else shutil.which(options.vireo)
    if program is None and not options.no_import:
        raise MissingProgram(options.vireo)
    options.vireo = program
    context = spark.sparkContext
    if not options.shards and not context.master.startswith("local"):
        raise JobError("on a cluster --shards is needed: a folder that all workers share")
    uri = options.shards or f"file://{scratch}/shards"
    path, system = place(spark, uri)
    if system.exists(path):
        raise ShardsExist(uri)
    # Modules that tasks need.
    for module in sorted(Path(__file__).resolve().parent.glob("*.py")):
        context.addPyFile(str(module))
    store = Store(spark, options.tenant)
    plan = recipes.plan(options.recipe, options.parameters)
    edges = fit(store, plan, options.partitions or 2 * context.defaultParallelism, options.tenant)
    with step("shards"):
        written = write(named(edges, store.items()), uri)
    if written == 0:
        raise NoNeighbours()
    print(f"{written} neighbours in {uri if options.shards else 'shards'}", file=sys.stderr)
    if options.no_import:
        return
    file = os.path.join(scratch, "neighbours.ndjson")
    found = gather(spark, uri, file)
    if found != written:
        raise ShardsIncomplete(found, written)
    with step("import"):
        publish(options, file)


def main(argv):
    options = arguments(argv)
    spark = SparkSession.builder.appName("vireo").getOrCreate()
    # Where a program is part of a pipe, only what it says is on standard output.
    try:
        with tempfile.TemporaryDirectory(prefix="vireo-spark-") as scratch:
            run(spark, options, scratch)
        return 0
    except Py4JJavaError as error:
        known = translated(error)
        if not isinstance(known, JobError):
            raise
        print(f"train.py: {known}", file=sys.stderr)
    except JobError as error:
        print(f"train.py: {error}", file=sys.stderr)
    finally:
        spark.stop()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
