"""Explicit-state model of two primaries: which rules keep a node's answers within the freshness lease, and that each is needed.

    deploy/checks/model.py

Breadth first over every order of steps, so that a trace is the shortest. Time is in ticks: in each, node B sends a heartbeat,
and the relay passes once at most; everything happens in any order, or not. At the beginning B has just heard all there is. Then a replica is promoted, or not: B goes on with the old primary, by commands and subscription,
the writer A and the relay each with either.

One write, or one change of control. Judged: an answer of B, from L1 under a lease or from an L2 that is believed, must not be
older than a write, and no control
state older than a change, that was acknowledged a lease ago.

A lease by the bus holds by the relay alone: a writer that acknowledges without having reached any Redis breaks nothing here. Its
floors and messages are what makes others see a change at once, and where the journal cannot be read.

Ends with 1 where the rules do not hold, or where one can be left out.
"""
import sys
from collections import namedtuple

LEASE = 3
RULES = dict(
    brought=True,      # there is no lease by the bus but within its time from what the relay is known to have brought
    reached=True,      # and is known when that heartbeat has been reached, behind the messages before it
    two=True,          # which is what was before a heartbeat that two more passes have ended since: the last began after it
    begin=True,        # a reading proves from its begin
    distrust=True,     # rows that a reading applies end the belief in this Redis until the relay has passed over it
    control=True,      # a reading of the journal reads the control log first
    fifo=True,         # a heartbeat is reached behind the messages before it
    unread=True,       # a node that knows of a change it has not read has no lease
)
# v, c: what is committed; w, cw: how far A is with it; ack, cack: how long it has been acknowledged (-1: not).
# rel, head, floor: what each Redis holds, (old, new). fresh: a pass of the old one that B has not been told.
# q: on its way to B; a heartbeat with its age and what its answer told. reply: the last one's answer on its way: (age, passes
# that ended since, head, relayed, whether the heartbeat itself was reached).
# beats: of answered heartbeats, their age by the passes that ended since (up to 4). heard, told, poll: how long ago; l1: its version; applied: the control state; behind: it knows of more.
# trust: whether L2 is believed; reading: a journal read under way: (age, version, control).
# done: what has happened in this tick: heartbeat, relay, journal.
State = namedtuple("State", "split aside rside v w ack c cw cack rel head floor q reply beats heard told poll l1 applied "
                            "behind trust reading done half")


def older(age):
    return age if age < 0 else min(age + 1, LEASE)


def put(pair, side, value):
    return (value, pair[1]) if side == 0 else (pair[0], value)


def publish(s, side, message):
    if side or (s.q and s.q[-1] == message):
        return s
    return s._replace(q=s.q + (message,))


def is_due(s):
    """Whether the journal has to be read: before the lease is over."""
    return s.told >= LEASE - 1


def passed_once(s):
    """One more pass has ended over the old primary."""
    beats = [LEASE] * 5
    for passes, age in enumerate(s.beats):
        beats[min(passes + 1, 4)] = min(beats[min(passes + 1, 4)], age)
    reply = s.reply and (s.reply[0], min(s.reply[1] + 1, 4)) + s.reply[2:]
    return s._replace(beats=tuple(beats), reply=reply)


def steps(s, rules, kind):
    """What may happen next: (name, state, whether it is wrong)."""
    out = []

    def add(name, state, wrong=False):
        out.append((name, state, wrong))

    # ---- the split: the promoted replica has what the old primary had
    if s.split is None:
        add("one primary", s._replace(split=0))
        for aside in (0, 1):
            for rside in (0, 1):
                add(f"two primaries: A with the {'old new'.split()[aside]}, the relay with the {'old new'.split()[rside]}",
                    s._replace(split=1, aside=aside, rside=rside))
        return out
    # ---- the writer: commit, floor, message, acknowledgement
    if s.v == 0 and kind == "write":
        add("A: COMMIT", s._replace(v=1, w=1))
    if s.w == 1:
        add("A: floor", s._replace(floor=put(s.floor, s.aside, 1), w=2))
        add("A: cannot reach Redis", s._replace(w=3))
    if s.w == 2:
        add("A: message", publish(s, s.aside, "M")._replace(w=3))
    if s.w == 3:
        add("A: acknowledged", s._replace(w=5, ack=0))
    # ---- control: commit, message, acknowledgement
    if s.c == 0 and kind == "control":
        add("A: change committed", s._replace(c=1, cw=1))
    if s.cw == 1:
        add("A: change published", publish(s, s.aside, "C")._replace(cw=2))
    if s.cw == 2:
        add("A: change acknowledged", s._replace(cw=3, cack=0))
    # ---- the relay, one pass a tick
    if not s.done[1]:
        side = s.rside
        drained, written = s, s
        if s.rel[side] < s.v:
            drained = publish(s._replace(floor=put(s.floor, side, 1)), side, "M")
        if side == 0:
            written = passed_once(s)
        passed = (s.done[0], 1, s.done[2])
        # A pass takes its time: what is committed after it has read the journal is the next one's.
        if s.half is None:
            add("relay: reads the journal, and drains it", drained._replace(half=(s.v, s.c)))
        else:
            add("relay: ends its pass", written._replace(rel=put(s.rel, side, s.half[0]), head=put(s.head, side, s.half[1]),
                                                         done=passed, half=None))
    # ---- B's heartbeat: published to itself, and answered
    if not s.done[0]:
        t = s._replace(q=s.q + (("H", 0, LEASE),))
        add("B: heartbeat", t._replace(done=(1, s.done[1], s.done[2]), reply=(0, 0, s.head[0], s.rel[0], 0)))
    if s.reply:
        age, passes, head, relayed, reached = s.reply
        # Until this one was sent, so many passes had ended since those before it.
        told = min(s.beats[passes + (2 if rules["two"] else 1):], default=LEASE)
        beats = list(s.beats)
        beats[passes] = min(beats[passes], age)
        t = s._replace(reply=None, beats=tuple(beats))
        if reached or not rules["reached"]:
            t = t._replace(told=min(s.told, told))
        else:
            last = max(place for place, message in enumerate(s.q) if message[0] == "H")
            t = t._replace(q=s.q[:last] + (("H", s.q[last][1], told),) + s.q[last + 1:])
        if head > s.applied and rules["unread"]:
            t = t._replace(behind=1)
        if relayed >= s.v:
            t = t._replace(trust=1)
        add("B: answer of the heartbeat", t)
    for place, message in enumerate(s.q):
        if place and rules["fifo"]:
            break
        if place and message in ("M", "C"):
            continue
        t = s._replace(q=s.q[:place] + s.q[place + 1:])
        if message == "M":
            add("B: message", t._replace(l1=1))
        elif message == "C":
            add("B: hears of a change", t._replace(behind=1) if rules["unread"] else t)
        else:
            if s.reply and not any(later[0] == "H" for later in s.q[place + 1:]):
                t = t._replace(reply=s.reply[:4] + (1,))
            add("B: heartbeat reached", t._replace(heard=min(s.heard, message[1]), told=min(s.told, message[2])))
    if s.behind:
        add("B: control log", s._replace(applied=s.c, behind=0))
    # ---- B reads the journal
    if is_due(s) and not s.done[2] and s.reading is None:
        add("B: journal read", s._replace(reading=(0, s.v, s.c)))
    if s.reading:
        age, version, control = s.reading
        t = s._replace(reading=None, poll=min(s.poll, age if rules["begin"] else 0), done=(s.done[0], s.done[1], 1))
        if rules["control"]:
            t = t._replace(applied=max(s.applied, control), behind=int(s.behind and control < s.c))
        if version > s.l1:
            t = t._replace(l1=version)
        if version and rules["distrust"] and s.rel[0] < version:
            t = t._replace(trust=0)
        add("B: journal applied", t)
    # ---- answers
    by_bus = s.heard < LEASE and (s.told < LEASE or not rules["brought"])
    if (by_bus or s.poll < LEASE) and not s.behind:
        add(f"B: answers from L1, version {s.l1}", s, s.l1 < s.v and s.ack >= LEASE)
        add(f"B: answers under control {s.applied}", s, s.applied < s.c and s.cack >= LEASE)
        if s.trust and s.floor[0] == 0:
            add("B: answers from L2, version 0, and keeps it", s._replace(l1=0), s.v == 1 and s.ack >= LEASE)
    # ---- time
    if s.done[0]:
        add("tick", s._replace(
            ack=older(s.ack), cack=older(s.cack), heard=older(s.heard), told=older(s.told),
            beats=tuple(older(age) for age in s.beats), poll=older(s.poll),
            q=tuple(m if m in ("M", "C") else ("H", older(m[1]), older(m[2])) for m in s.q),
            reply=s.reply and (older(s.reply[0]),) + s.reply[1:],
            reading=s.reading and (older(s.reading[0]),) + s.reading[1:], done=(0, 0, 0)))
    return out


def explore(rules, kind, limit):
    first = State(None, 0, 0, 0, 0, -1, 0, 0, -1, (0, 0), (0, 0), (0, 0), (), None, (0,) + (LEASE,) * 4, 0, 0, LEASE, 0, 0,
                  0, 1, None, (0, 0, 0), None)
    seen, front = {first: None}, [first]
    while front:
        found = []
        for state in front:
            for name, after, wrong in steps(state, rules, kind):
                if wrong:
                    trace = [name]
                    while seen[state]:
                        state, step = seen[state]
                        trace.append(step)
                    return len(seen), trace[::-1]
                # What is on its way is bounded: a heartbeat a tick, and two messages of a kind.
                if after not in seen and len(after.q) <= 4:
                    seen[after] = (state, name)
                    found.append(after)
        if len(seen) > limit:
            sys.exit(f"more than {limit} states")
        front = found
    return len(seen), None


def main():
    failed = False
    for name in [None] + list(RULES):
        rules = dict(RULES, **({name: False} if name else {}))
        count, trace, kind = 0, None, None
        for kind in ("write", "control"):
            states, trace = explore(rules, kind, 6_000_000)
            count += states
            if trace:
                break
        print(f"{'all rules' if name is None else 'without ' + name:20} {count:9} states  "
              f"{'holds' if trace is None else 'violated, ' + kind}", flush=True)
        for step in trace or []:
            print("   ", step)
        failed |= (trace is None) != (name is None)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
