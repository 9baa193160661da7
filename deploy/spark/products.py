"""The sparse product of the pairs with themselves, in blocks of items.

What one item shares with all others is a sum over its users, so items are dealt out to blocks, and each user's row is sent to
the blocks that its items are in: once a block, not once a pair of items. A task multiplies the rows of its block as they come,
and keeps of each item the best neighbours. What is large is shuffled; the driver, and each worker, hold a few numbers an item.

The work is the sum over users of the square of their items, which is why histories are capped. A worker's memory is bounded by
what can differ from 0 in a block, however many users an item has: a popular item is a row of the catalogue's length at most.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F
from scipy import sparse

# FitInput.Limits.neighbours
NEIGHBOURS = 100
# Sums of a block that can differ from 0, on average; each takes 12 bytes, twice over while rows are added.
BLOCK_SUMS = 4_000_000
# Items of users that are multiplied, or sent, at once.
ITEMS_AT_ONCE = 4_000_000

EDGES = "item int, neighbour int, weight float"


@dataclass
class Tables:
    """What tasks know of items, by item number."""

    item_count: int
    # Where an item's row is computed: -1 for one without users.
    block: np.ndarray
    # Which row it is there.
    place: np.ndarray
    degree: np.ndarray


def degrees(rows, item_count):
    """Users of each item, and what its row costs: the sum over its users of their items."""
    found = (
        rows.select(F.explode("items").alias("item"), F.size("items").alias("size"))
        .groupBy("item").agg(F.count("*").alias("degree"), F.sum("size").alias("cost")).toArrow()
    )
    items = found.column("item").to_numpy()
    degree, cost = np.zeros(item_count, np.int64), np.zeros(item_count, np.int64)
    degree[items] = found.column("degree").to_numpy()
    cost[items] = found.column("cost").to_numpy()
    return degree, cost


def deal(degree, cost, least):
    """Items in blocks of like cost, at least so many if there are as many items. The tables, and the number of blocks."""
    used = np.flatnonzero(degree)
    sums = np.minimum(cost[used], len(used)).sum()
    count = int(min(max(-(-sums // BLOCK_SUMS), least, 1), len(used)))
    dealt = used[np.argsort(-cost[used], kind="stable")]
    rounds, position = np.divmod(np.arange(len(dealt), dtype=np.int32), np.int32(count))
    block, place = np.full(len(degree), -1, np.int32), np.zeros(len(degree), np.int32)
    # There and back: who was dealt the costliest of one round is dealt the least of the next.
    block[dealt] = np.where(rounds % 2 == 0, position, count - 1 - position)
    place[dealt] = rounds
    return Tables(len(degree), block, place, degree.astype(np.float32)), count


def lists(column):
    """Offsets from 0, and values, of a column of lists."""
    offsets = column.offsets.to_numpy()
    return (offsets - offsets[0]).astype(np.int64), column.flatten().to_numpy()


def edges(rows, plan, tables, blocks, neighbours=NEIGHBOURS):
    """`item`, `neighbour`, `weight` of the neighbours that each item keeps; weights are without sums of columns yet."""
    shared = rows.sparkSession.sparkContext.broadcast(tables)

    def send(batches):
        for batch in batches:
            yield from sent(batch.column(0), plan, shared.value, blocks)

    def multiply(batches):
        block = None
        for batch in batches:
            of = batch.column(0).to_numpy()
            starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
            for start, end in zip(starts, np.r_[starts[1:], len(of)]):
                if block is None or block.number != of[start]:
                    if block is not None:
                        yield block.chosen(neighbours)
                    block = Block(int(of[start]), plan, shared.value)
                block.add(batch.slice(start, end - start))
        if block is not None:
            yield block.chosen(neighbours)

    return (
        rows.mapInArrow(send, "block int, factor float, items array<int>")
        # A partition may have several blocks or none: a task has one of them at a time.
        .repartition(blocks, "block").sortWithinPartitions("block")
        .mapInArrow(multiply, EDGES)
    )


def sent(column, plan, tables, blocks):
    """The rows of users, each once for every block that an item of it is in."""
    offsets, items = lists(column)
    sizes = np.diff(offsets)
    factors = plan.user.table(sizes, tables.item_count)
    of_row = np.repeat(np.arange(len(sizes)), sizes)
    # A user of one item says nothing of pairs.
    counts = (sizes > 1)[of_row] & (factors > 0)[of_row]
    keys = np.unique(of_row[counts] * blocks + tables.block[items[counts]])
    rows, targets = np.divmod(keys, blocks)
    ends = np.cumsum(sizes[rows])
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + ITEMS_AT_ONCE, side="right")))
        part = pa.array(rows[start:end])
        yield pa.RecordBatch.from_arrays(
            [pa.array(targets[start:end].astype(np.int32)), pa.array(factors[rows[start:end]]), column.take(part)],
            ["block", "factor", "items"],
        )
        start = end


class Block:
    """The rows of the product of some items, summed as users come."""

    def __init__(self, number, plan, tables):
        self.number, self.plan, self.tables = number, plan, tables
        members = np.flatnonzero(tables.block == number)
        self.items = members[np.argsort(tables.place[members])]
        self.sums = None
        self.waiting, self.size = [], 0

    def add(self, batch):
        offsets, items = lists(batch.column(2))
        self.waiting.append((batch.column(1).to_numpy(), np.diff(offsets), items))
        self.size += len(items)
        if self.size >= ITEMS_AT_ONCE:
            self.multiply()

    def multiply(self):
        if not self.waiting:
            return
        factors, sizes, items = (np.concatenate(parts) for parts in zip(*self.waiting))
        self.waiting, self.size = [], 0
        width = self.tables.item_count
        # In double precision, so that sums do not depend on the order in which users come; rounded once at the end.
        users = sparse.csr_array(
            (np.ones(len(items)), items, np.r_[0, np.cumsum(sizes)]), shape=(len(sizes), width)
        )
        here = self.tables.block[items] == self.number
        of_user = np.repeat(np.arange(len(sizes)), sizes)[here]
        left = sparse.csr_array(
            (factors[of_user].astype(np.float64), (self.tables.place[items[here]], of_user)),
            shape=(len(self.items), len(sizes)),
        )
        product = left @ users
        self.sums = product if self.sums is None else self.sums + product

    def chosen(self, limit):
        self.multiply()
        plan, degree = self.plan, self.tables.degree
        choice = plan.choice.table(degree) if plan.choice else None
        own, other = plan.item.table(degree), plan.neighbour.table(degree)
        found = []
        for row, item in enumerate(self.items):
            span = slice(self.sums.indptr[row], self.sums.indptr[row + 1])
            ids, shared = self.sums.indices[span], self.sums.data[span].astype(np.float32)
            ids, shared = ids[ids != item], shared[ids != item]
            scores = shared * choice[ids] if plan.choice else shared / (degree[item] + degree[ids] - shared)
            kept = best(ids, scores, limit)
            ids = ids[kept]
            weights = scores[kept] / choice[ids] if plan.choice else scores[kept]
            if plan.power != 1:
                weights = np.power(weights, np.float32(plan.power))
            weights = weights * own[item] * other[ids]
            total = weights.sum()
            if plan.row_sum and total > 0:
                weights = weights * np.power(total, np.float32(-plan.row_sum))
            found.append((np.full(len(ids), item, np.int32), ids.astype(np.int32), weights))
        columns = [np.concatenate(parts) for parts in zip(*found)]
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], ["item", "neighbour", "weight"])


def best(ids, scores, limit):
    """Where the highest scores above 0 are, the highest first; of equal ones the lower number."""
    places = np.flatnonzero(scores > 0)
    if len(places) > limit:
        bound = np.partition(scores[places], -limit)[-limit]
        places = places[scores[places] >= bound]
    return places[np.lexsort((ids[places], -scores[places]))][:limit]


def divided_by_columns(edges, exponent):
    """Weights over the sum of the neighbour's column to a power."""
    if exponent == 0:
        return edges
    total = F.sum(F.col("weight").cast("double"))
    factors = edges.groupBy("neighbour").agg(total.alias("total")).select(
        "neighbour", F.when(F.col("total") > 0, F.pow("total", F.lit(-exponent))).otherwise(0.0).cast("float").alias("factor")
    )
    return edges.join(factors, "neighbour").select("item", "neighbour", (F.col("weight") * F.col("factor")).alias("weight"))


def halved(edges, least, largest):
    """Weights as half floats, which is what a model keeps: of those that are equal then, the lower number comes first.

    Multiplied before by a power of two, as NeighbourGraph+Encoding.swift does, where half floats would not hold them.
    """
    scale = np.float32(1)
    if largest > 1 or least < 2.0 ** -14:
        scale = np.float32(2.0 ** min(14 - int(np.frexp(np.float32(largest))[1] - 1), 120))

    def halve(batches):
        for batch in batches:
            place = batch.schema.get_field_index("weight")
            weights = (batch.column(place).to_numpy() * scale).astype(np.float16).astype(np.float32)
            batch = batch.set_column(place, "weight", pa.array(weights))
            # What is too small for a half float: an import takes no weight of 0.
            yield batch.filter(pa.array(weights > 0))

    return edges.mapInArrow(halve, edges.schema)
