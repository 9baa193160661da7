"""Who took to what: distinct pairs whose newest events sum to more than 0, a row a user.

The rules of WeighedInteractions.swift and PositivePairs.swift. Half-lives are no part of them: what fades is popularity and
trends, which the import fits from the store.
"""

from itertools import chain

from pyspark.sql import Window
from pyspark.sql import functions as F

# FitInput.Limits.history: newest events of a user that say which items go together.
HISTORY = 500
# EventWeights.bound
WEIGHT_BOUND = 1_000_000.0
RATING = 5


def weighed(interactions, weights, item_count):
    """Interactions with what each counts; those that count nothing are left out."""
    # One order for all that is asked of a user, so that a user is sorted once. Of rows alike in all of these, none is first.
    order = Window.partitionBy("user_number").orderBy(F.desc("seconds"), "item_number", "type", "value")
    whole = order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    value = F.col("value").cast("double")
    is_number = ~F.isnan(value) & (F.abs(value) != float("inf"))
    is_rating = F.col("type") == RATING
    rated = F.when(is_rating & is_number, value)
    deviation = (value - F.col("mean")) / 2
    factor = F.greatest(F.least(deviation, F.lit(1.0)), F.lit(-1.0)).cast("float")
    # With fewer than 3 ratings there is no mean to speak of.
    factor = factor + F.when(F.col("ratings") < 3, 1).otherwise(0).cast("float")
    factor = F.when(~is_rating, F.lit(1.0).cast("float")).when(is_number, factor).otherwise(F.lit(0.0).cast("float"))
    bounded = {code: min(max(float(weight), -WEIGHT_BOUND), WEIGHT_BOUND) for code, weight in weights.items()}
    of_type = F.create_map(*chain(*((F.lit(code), F.lit(weight).cast("float")) for code, weight in bounded.items())))
    return (
        interactions.where(F.col("item_number").between(0, item_count - 1))
        .withColumn("mean", F.avg(rated).over(whole))
        .withColumn("ratings", F.count(rated).over(whole))
        .withColumn("weight", F.coalesce(of_type[F.col("type").cast("int")], F.lit(0.0).cast("float")) * factor)
        .where(F.col("weight") != 0)
        .withColumn("place", F.row_number().over(order))
    )


def item_sets(interactions, weights, item_count, history=HISTORY):
    """`items`: an array a user, whose order means nothing. No row is longer than a history."""
    pairs = (
        weighed(interactions, weights, item_count)
        .where(F.col("place") <= history)
        .groupBy("user_number", "item_number")
        .agg(F.sum("weight").alias("weight"))
        .where(F.col("weight").cast("float") > 0)
    )
    return pairs.groupBy("user_number").agg(F.collect_list("item_number").alias("items")).select("items")
