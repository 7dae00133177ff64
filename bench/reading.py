"""How fast this machine reads memory: a loop in C that loads every line of an array and adds up what it finds, on some threads.

Arrays of this module's own, as no contender should find in the caches what another has read. Two loops, of which the faster one
counts: one asks for lines eight kilobytes ahead, which pays where the data come from memory, and one leaves that to the processor.
"""

import ctypes
import shutil
import subprocess
import tempfile

import numpy

SOURCE = r"""
#include <pthread.h>
#include <stddef.h>

typedef unsigned long vector __attribute__((vector_size(64)));
struct part { const vector *from; size_t count; int ahead; unsigned long sum; };

static void *part(void *arg) {
    struct part *p = arg;
    vector sums[8] = {0};
    for (size_t i = 0; i + 8 <= p->count; i += 8)
        for (int k = 0; k < 8; k++) {
            if (p->ahead) __builtin_prefetch(p->from + i + k + 128, 0, 2);
            sums[k] += p->from[i + k];
        }
    for (int k = 0; k < 8; k++)
        for (int lane = 0; lane < 8; lane++) p->sum += sums[k][lane];
    return 0;
}

unsigned long reading(const vector *from, size_t bytes, int threads, int ahead) {
    pthread_t others[64];
    struct part parts[64];
    size_t count = bytes / 64, begin = 0;
    for (int t = 0; t < threads; t++) {
        size_t end = count * (t + 1) / threads;
        parts[t] = (struct part){from + begin, end - begin, ahead, 0};
        begin = end;
        if (t) pthread_create(&others[t], 0, part, &parts[t]);
    }
    part(&parts[0]);
    for (int t = 1; t < threads; t++) pthread_join(others[t], 0), parts[0].sum += parts[t].sum;
    return parts[0].sum;
}
"""


def loops(bytes, threads):
    """{name: function that reads so many bytes}; none where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return {}
    if not hasattr(loops, "library"):
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/reading.so"
            command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-x", "c", "-", "-o", library]
            subprocess.run(command, input=SOURCE, text=True, check=True)
            loops.library = ctypes.CDLL(library)
    read = loops.library.reading
    read.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int]
    read.restype = ctypes.c_ulong
    whole = numpy.ones(bytes // 8 + 8)
    start = whole.ctypes.data + -whole.ctypes.data % 64

    # It must have read everything, but for what is less than a step of a thread's part.
    ends = [bytes // 64 * t // min(threads, 64) for t in range(min(threads, 64) + 1)]
    numbers = sum((end - begin) // 8 * 64 for begin, end in zip(ends, ends[1:]))
    for ahead in (0, 1):
        assert read(start, bytes, min(threads, 64), ahead) == numbers * int(whole[:1].view("u8")[0]) % 2**64

    def reader(ahead):
        # `whole` is kept alive by this function.
        return lambda whole=whole: read(start, bytes, min(threads, 64), ahead)

    return {"reading": reader(0), "reading ahead": reader(1)}
