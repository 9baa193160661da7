"""Samples a node's counter of answers every half second, disturbs a store half-way, and compares. See run."""
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

mode, redis_port, admin, seconds, redis_directory, postgres_port = (
    sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5], sys.argv[6])
WINDOW = 0.5
OUTAGE = 2.0


def read():
    text = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10).read().decode()
    tiers = {}
    for line in text.splitlines():
        found = re.match(r'vireo_recommendations_total\{tier="(\w+)"\} (\S+)', line)
        if found:
            tiers[found[1]] = float(found[2])
    return time.monotonic(), tiers


def signal_postgres(number):
    """Stops or continues the server with all that it has begun."""
    found = subprocess.run(["ss", "-ltnpH", f"sport = :{postgres_port}"], capture_output=True, text=True, check=True).stdout
    parent = re.search(r"pid=(\d+)", found)[1]
    children = subprocess.run(["pgrep", "-P", parent], capture_output=True, text=True).stdout.split()
    for pid in [parent] + children:
        os.kill(int(pid), number)


def hits(rates):
    return (rates.get("l1", 0) + rates.get("l2", 0)) / max(sum(rates.values()), 1)


def redis_pid():
    info = subprocess.run(["redis-cli", "-p", redis_port, "INFO", "server"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"process_id:(\d+)", info)[1])


start = time.monotonic()
if mode == "dump":
    # What Redis will come back with is from before the load.
    subprocess.run(["redis-cli", "-p", redis_port, "SAVE"], check=True, stdout=subprocess.DEVNULL)
time.sleep(3)
windows = []
last = read()
gone_at = back_at = None
while time.monotonic() - start < seconds - 1:
    time.sleep(max(0, WINDOW - (time.monotonic() - last[0])))
    now = read()
    span = now[0] - last[0]
    rates = {tier: (count - last[1].get(tier, 0)) / span for tier, count in now[1].items()}
    windows.append((last[0] - start, now[0] - start, sum(rates.values()), rates))
    last = now
    elapsed = time.monotonic() - start
    if gone_at is None and elapsed >= seconds / 2:
        gone_at = elapsed
        if mode == "flush":
            subprocess.run(["redis-cli", "-p", redis_port, "FLUSHALL"], check=True, stdout=subprocess.DEVNULL)
            back_at = time.monotonic() - start
        elif mode == "bus":
            subprocess.run(["redis-cli", "-p", redis_port, "CLIENT", "KILL", "TYPE", "pubsub"], check=True, stdout=subprocess.DEVNULL)
            back_at = time.monotonic() - start
        elif mode == "postgres":
            signal_postgres(signal.SIGSTOP)
        elif mode == "pause":
            paused = redis_pid()
            os.kill(paused, signal.SIGSTOP)
        else:
            os.kill(redis_pid(), signal.SIGKILL)
    if gone_at is not None and back_at is None and elapsed >= gone_at + OUTAGE:
        if mode == "pause":
            os.kill(paused, signal.SIGCONT)
        elif mode == "postgres":
            signal_postgres(signal.SIGCONT)
        else:
            # Another at the same port, empty or with the dump.
            name = "dump.rdb" if mode == "dump" else "none.rdb"
            subprocess.run(
                ["redis-server", "--port", redis_port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "yes",
                 "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru", "--dir", redis_directory,
                 "--dbfilename", name, "--pidfile", os.path.join(redis_directory, "again.pid")],
                check=True, stdout=subprocess.DEVNULL)
        back_at = time.monotonic() - start

before = [rate for _, end, rate, _ in windows if end <= gone_at]
after = [(begin, rate) for begin, _, rate, _ in windows if begin >= back_at - 0.05]
median = statistics.median(before)
print(f"{mode}: gone at {gone_at:.1f} s, back at {back_at:.1f} s")
for begin, end, rate, rates in windows:
    if gone_at - 2 <= begin <= back_at + 6:
        tiers = "  ".join(f"{tier} {value:.0f}" for tier, value in rates.items() if value >= 1)
        print(f"  {begin:5.1f}-{end:5.1f}  {rate:8.0f}/s  {rate / median:4.2f}   {tiers}")
low_begin, low = min(after, key=lambda window: window[1])
print(f"before: median {median:.0f}/s, lowest window {min(before) / median:.2f} of it, over {len(before)} windows")
print(f"after:  lowest window {low / median:.2f} of the median before (at {low_begin:.1f} s), "
      f"median {statistics.median(rate for _, rate in after) / median:.2f}, "
      f"{sum(rate < 0.9 * median for _, rate in after)} of {len(after)} windows below 0.9")
ratio = statistics.median(hits(rates) for _, end, _, rates in windows if end <= gone_at)
during = [hits(rates) for begin, end, _, rates in windows if begin >= gone_at - 0.05 and end <= back_at + 0.05]
# The end of the last half second that was below; nothing was: at once.
below = [end for begin, end, _, rates in windows if begin >= back_at - 0.05 and hits(rates) < 0.98 * ratio]
print(f"hit ratio: {ratio:.3f} before" + (f", {min(during):.3f} to {max(during):.3f} meanwhile" if during else "")
      + f", above 0.98 of it for good {max(0, below[-1] - back_at) if below else 0:.1f} s after")
