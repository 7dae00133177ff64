"""One measurement in a process of its own; run.py starts it with a task in JSON and reads the answer from a file.

mode "check"     one solve from a cold start: peak memory, and the results compared with NumPy's (the NumPy process
                 saves them, the others load them). With "own_inputs" the module under test makes its inputs itself,
                 otherwise NumPy makes them for everybody, so that all start from the same bits
mode "time"      the first call of a fresh process, then repeated calls
mode "machine"   copy bandwidth by size, that of a loop that only reads, and the peak of a matrix product: what the limits are
                 computed from
"""

import json
import os
import resource
import statistics
import sys
import threading
import time
from pathlib import Path

import harness
import reading

# Bytes that lie in no cache.
LARGE = 1 << 30


def resident():
    """Bytes resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reset_peak():
    """Forgets the peak so far where the system lets us (Linux), so that making the inputs does not count."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak():
    """The largest number of bytes resident since reset_peak."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def split(inputs):
    import numpy

    arrays = {k: v for k, v in inputs.items() if isinstance(v, numpy.ndarray)}
    return arrays, {k: v for k, v in inputs.items() if k not in arrays}


def limits(program, params, results):
    try:
        return program.limit(**params, results=results)
    except TypeError:
        return program.limit(**params)


def save(folder, results):
    import numpy
    from _program import plain

    for name, value in results.items():
        numpy.save(Path(folder) / f"{name}.npy", plain(value))


def check(task, program, peer):
    import numpy
    import numpy.random  # loads on first use otherwise, and would count as memory
    from _program import check_all, plain

    base = resident()
    solver = peer.solver(program)
    if task.get("own_inputs"):
        inputs = program.setup(peer.module(), **task["params"])
    else:
        arrays, scalars = split(program.setup(numpy, **task["params"]))
        inputs = solver.prepare(arrays) | scalars
        del arrays
    if hasattr(peer, "sync"):
        peer.sync()
    counters = peer.stats() if hasattr(peer, "stats") else None
    reset_peak()
    results = solver.solve(inputs)
    answer = dict(peak=max(0, peak() - base))
    if counters is not None:
        after = peer.stats()
        answer["stats"] = {
            k: after[k] - counters[k] if isinstance(after[k], (int, float)) and k in counters else after[k]
            for k in after
        }
    del inputs
    results = {k: plain(v) for k, v in results.items()}
    folder = task["reference"]
    if "save" in task:
        save(task["save"], results)
    if task["peer"] == "numpy":
        save(folder, results)
        answer.update(ok=True, checks={}, limit=limits(program, task["params"], results))
    else:
        want = {path.stem: numpy.load(path, mmap_mode="r") for path in Path(folder).glob("*.npy")}
        ok, each = check_all(program, results, want, peer=task["peer"] != "ours")
        answer.update(ok=ok, checks={k: words if good else "WRONG: " + words for k, (good, words) in each.items()})
    return answer


def timed(task, program, peer):
    import numpy

    solver = peer.solver(program)
    arrays, scalars = split(program.setup(numpy, **task["params"]))
    inputs = solver.prepare(arrays) | scalars
    arrays = {k: v for k, v in arrays.items() if k in program.mutates}
    times = []
    began = time.perf_counter()
    while True:
        start = time.perf_counter()
        results = solver.solve(inputs)
        times.append(time.perf_counter() - start)
        del results
        used = time.perf_counter() - began
        if len(times) >= 2 and (used > task["seconds"] or len(times) > 50):
            break
        if arrays:
            inputs.update(solver.prepare(arrays))
    return dict(first=times[0], steady=statistics.median(times[1:]), calls=len(times) - 1)


def copy_bandwidth(numpy, nbytes, threads):
    """Bytes read and written per second when `threads` threads together copy a working set of `nbytes`.

    The outer dimension of both views moves on by a cache line only: one call copies nearly the same block many times,
    without Python between.
    """
    part = nbytes // 2 // threads
    rounds = max(1, 2**28 // (2 * part))

    def block():
        base = numpy.ones(part + 64 * rounds, numpy.uint8)
        return numpy.lib.stride_tricks.as_strided(base, (rounds, part), (64, 1))

    buffers = [(block(), block()) for _ in range(threads)]
    best = 0.0
    for _ in range(4):
        gate = threading.Barrier(threads + 1)

        def work(source, target, gate=gate):
            gate.wait()
            numpy.copyto(target, source)
            gate.wait()

        pool = [threading.Thread(target=work, args=b) for b in buffers]
        for t in pool:
            t.start()
        gate.wait()
        start = time.perf_counter()
        gate.wait()
        elapsed = time.perf_counter() - start
        for t in pool:
            t.join()
        best = max(best, 2 * part * rounds * threads / elapsed)
    return best


def machine_limits(task):
    import numpy

    threads = len(task["cores"])
    bandwidth = {}
    for exponent in range(15, 31):
        bandwidth[2**exponent] = copy_bandwidth(numpy, 2**exponent, threads)
    readers = reading.loops(LARGE, threads).values()
    reads = max((LARGE / min(duration(read) for _ in range(4)) for read in readers), default=bandwidth[LARGE])
    n = 1536
    a = numpy.ones((n, n))
    a @ a
    flops = 0.0
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        flops = max(flops, 2 * n**3 / (time.perf_counter() - start))
    return dict(threads=threads, bandwidth=bandwidth, reading=reads, flops=flops)


def duration(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main():
    task = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, task["cores"])
    if task["mode"] == "machine":
        answer = machine_limits(task)
    else:
        import peers

        program = harness.programs()[task["program"]]
        peer = peers.load(task["peer"])
        version = peer.version()
        answer = {"check": check, "time": timed}[task["mode"]](task, program, peer)
        answer["version"] = version
    Path(task["out"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
