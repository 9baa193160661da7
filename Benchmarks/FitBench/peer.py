"""implicit's item-item cosine on a `user item item ...` file: seconds of fit, users per second of recommend on one core.

peer.py graph TRAIN ROUNDS THREADS | peer.py rank TRAIN ROUNDS
"""
import os, sys, time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
import scipy.sparse as sp
from implicit.nearest_neighbours import CosineRecommender

what, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
users, items = [], []
with open(path) as lines:
    for user, line in enumerate(lines):
        words = line.split()[1:]
        users += [user] * len(words)
        items += map(int, words)
rows = user + 1
matrix = sp.csr_matrix((np.ones(len(users), dtype=np.float32), (users, items)), shape=(rows, max(items) + 1))
threads = int(sys.argv[4]) if what == "graph" else 2
for _ in range(rounds):
    model = CosineRecommender(K=100, num_threads=threads)
    start, used = time.perf_counter(), time.process_time()
    model.fit(matrix, show_progress=False)
    if what == "graph":
        print(f"graph {time.perf_counter() - start:.3f} s, processor {time.process_time() - used:.3f} s", flush=True)
if what == "rank":
    model.num_threads = 1
    everybody = np.arange(rows)
    for _ in range(rounds):
        start = time.perf_counter()
        model.recommend(everybody, matrix, N=20)
        print(f"rank {rows / (time.perf_counter() - start):.0f} users/s", flush=True)
