"""Many mutated graphs, in child processes so that a crash is seen: `python -m tests.attack.campaign --count 200000`.

Prints what must not be with the number of its graph, for `try_seed`, and counts at the end.
"""

import argparse
import collections
import multiprocessing
import resource
import time
from multiprocessing.connection import Connection

from tests.attack.trial import try_seed

_AT_ONCE = 500
_HANG_SECONDS = 60.0
_ADDRESS_SPACE = 8 << 30


def _work(first: int, stop: int, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for seed in range(first, stop):
        pipe.send((seed, None))
        pipe.send((seed, try_seed(seed)))


def campaign(first: int, count: int) -> int:
    """Tries so many numbers from the first on; answers how many faults there were."""
    faults, stages = 0, collections.Counter[tuple[str, str]]()
    slowest: collections.defaultdict[str, tuple[float, int]] = collections.defaultdict(lambda: (0.0, -1))
    context = multiprocessing.get_context("forkserver")
    # SciPy takes a second to import, once: that is no graph's time.
    context.set_forkserver_preload(["tests.attack.trial", "scipy.linalg", "scipy.special"])
    seed, last, started = first, first + count, time.time()
    while seed < last:
        ours, theirs = context.Pipe(duplex=False)
        stop = min(seed + _AT_ONCE, last)
        child = context.Process(target=_work, args=(seed, stop, theirs))
        child.start()
        theirs.close()
        while True:
            try:
                if not ours.poll(_HANG_SECONDS):
                    print(f"{seed}: hangs", flush=True)
                    faults += 1
                    child.kill()
                    seed += 1
                    break
                seed, outcome = ours.recv()
            except EOFError:
                child.join()
                if child.exitcode:
                    print(f"{seed}: ended by {child.exitcode}", flush=True)
                    faults += 1
                seed += 1
                break
            if outcome is not None:
                found = outcome.faults + outcome.slow
                for fault in found:
                    print(f"{seed}: {fault}", flush=True)
                faults += len(found)
                stages.update(outcome.stages.items())
                for name, seconds in outcome.seconds.items():
                    slowest[name] = max(slowest[name], (seconds, seed))
        child.join()
        if seed % 10_000 < _AT_ONCE:
            worst = max(slowest.items(), key=lambda item: item[1], default=("nothing", (0.0, -1)))
            shown = f"slowest {worst[0]} of {worst[1][1]}: {worst[1][0]:.2f} s"
            print(f"... {seed - first} graphs, {faults} faults, {time.time() - started:.0f} s; {shown}", flush=True)
    for (stage, end), number in sorted(stages.items()):
        print(f"{stage:28} {end:24} {number}")
    for name, (seconds, where) in sorted(slowest.items()):
        print(f"{name:28} at most {seconds:.3f} s, at {where}")
    print(f"{count} graphs, {faults} faults")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    raise SystemExit(min(1, campaign(chosen.first, chosen.count)))
