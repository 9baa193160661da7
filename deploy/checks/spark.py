"""What deploy/checks/spark needs beside programs.

    spark.py events >FILE           feedback that tells the rules of a fit apart, as NDJSON
    spark.py lists FOLDER           a LightGCN folder: no times, and more items than a regression is tried for
    spark.py parameters <JSON       the --parameter arguments of a version, from `vireo models show --json`
    spark.py compare A B            top-20 neighbours by item of two exports; 1 where fewer than 99 % are the same
    spark.py perturb A              the export with a neighbour missing of every fiftieth item
"""

import json
import os
import random
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone

TOP = 20
LEAST = 0.99
ITEMS = 600
USERS = 1_500


def events():
    draw = random.Random(20260901)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def write(user, item, kind, second, value=None):
        event = {"user_id": user, "item_id": f"i{item:06}", "type": kind, "occurred_at": (start + timedelta(seconds=second)).isoformat()}
        print(json.dumps(event | ({} if value is None else {"value": value})))

    # Longer than a history: what is old is of other items than what is new. Of a third all is of few seconds, where the lower
    # numbers of items are the newer.
    for user in range(60):
        for place in range(1_500):
            item = draw.randrange(1, 300) if place < 900 else draw.randrange(250, ITEMS)
            write(f"heavy{user}", item, draw.choice(("click", "like", "purchase")), place // 400 if user % 3 == 0 else 60 * place)
    for user in range(1, USERS, 2):
        name = f"u{user:06}"
        for _ in range(4):
            # Taken back, and not quite.
            item = draw.randrange(1, ITEMS)
            write(name, item, "click", draw.randrange(10**7))
            write(name, item, draw.choice(("hide", "dislike")), draw.randrange(10**7))
            item = draw.randrange(1, ITEMS)
            write(name, item, "like", draw.randrange(10**7))
            write(name, item, "dislike", draw.randrange(10**7))
        # Of one or two ratings every one counts, of more only those above the mean.
        for _ in range(draw.choice((1, 2, 3, 12, 12))):
            write(name, draw.randrange(1, ITEMS), "rating", draw.randrange(10**7), draw.randrange(2, 11) / 2)


def lists(folder):
    draw = random.Random(7)
    with open(os.path.join(folder, "train.txt"), "w", encoding="ascii") as file:
        for user in range(3_000):
            # Of three neighbourhoods of the catalogue one each, and popular heads in them.
            items = {4_000 * (user % 3) + int(4_000 * draw.random() ** 2) for _ in range(draw.randrange(5, 40))}
            print(user, *sorted(items), file=file)


def top(path):
    found = defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            item, neighbour, _ = line.split("\t")
            if len(found[item]) < TOP:
                found[item].append(neighbour)
    return found


def compare(a, b):
    a, b = top(a), top(b)
    items = sorted(a.keys() | b.keys())
    if len(items) < 100:
        sys.exit(f"{len(items)} items are too few to say anything")
    same = sum(sorted(a[item]) == sorted(b[item]) for item in items)
    ordered = sum(a[item] == b[item] for item in items)
    print(f"{100 * same / len(items):.2f} % of {len(items)} items, {100 * ordered / len(items):.2f} % in the same order")
    return 0 if same >= LEAST * len(items) else 1


def perturb(path):
    before, items = None, 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            item = line.split("\t")[0]
            if item != before:
                before, items = item, items + 1
                if items % 50 == 0:
                    continue
            sys.stdout.write(line)


def parameters():
    for name, value in json.load(sys.stdin)["parameters"].items():
        print(f"--parameter={name}={value}")


if __name__ == "__main__":
    sys.exit({"events": events, "lists": lists, "parameters": parameters, "compare": compare, "perturb": perturb}[sys.argv[1]](*sys.argv[2:]))
