"""The command `legate-jit`: reports, the kernel cache, compiling ahead, and programs under several ranks."""

import argparse
import runpy
import sys
import time


def _size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024


def _cache(args):
    from . import _native

    folder = args.dir or _native.cache_dir()
    if folder is None:
        print("the kernel cache is off (LEGATE_JIT_CACHE=off)")
        return 0
    try:
        actions = {"ls": _ls, "verify": _verify, "prune": _prune, "export": _export, "import": _import}
        return actions[args.action](_native, folder, args)
    except FileNotFoundError:
        print(f"{folder}: no cache yet")
        return 0
    except OSError as e:
        print(f"legate-jit: {folder}: {e}", file=sys.stderr)
        return 1


def _ls(native, folder, args):
    entries = native.cache_list(folder)
    for e in sorted(entries, key=lambda e: -e["used"]):
        state = "damaged" if e["target"] is None else e["target"] if e["current"] else e["target"] + ", another build"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(e["used"]))
        print(f"{e['name']}  {_size(e['bytes']):>10}  {when}  {state}")
        if args.kernels and e["kernel"]:
            print("    " + e["kernel"].strip().replace("\n", "\n    "))
    print(f"{len(entries)} kernels, {_size(sum(e['bytes'] for e in entries))}, in {folder}")
    return 0


def _verify(native, folder, args):
    bad = native.cache_verify(folder)
    for name in bad:
        print(f"{name}: damaged or foreign")
    print(f"{len(native.cache_list(folder))} entries, {len(bad)} damaged")
    return 1 if bad else 0


def _prune(native, folder, args):
    limit = None
    if args.max_size is not None:
        limit = native.parse_bytes(args.max_size)
        if limit is None:
            print(f"legate-jit: --max-size {args.max_size}: expected a number of bytes, such as 512M", file=sys.stderr)
            return 2
    age = args.max_age * 86400 if args.max_age is not None else None
    files, size = native.cache_prune(folder, limit, age, args.other_builds)
    print(f"removed {files} files, {_size(size)}")
    return 0


def _export(native, folder, args):
    """Every whole entry, in a tar archive; written beside its place and moved there, so that it is whole or not there."""
    import io
    import os
    import tarfile

    entries = native.cache_export(folder)
    half = f"{args.file}.{os.getpid()}.tmp"
    try:
        with tarfile.open(half, "w:gz" if args.file.endswith(("gz", "tgz")) else "w") as archive:
            for name, data in entries:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o600
                archive.addfile(member, io.BytesIO(data))
        os.replace(half, args.file)
    finally:
        if os.path.exists(half):
            os.unlink(half)
    print(f"{len(entries)} kernels, {_size(sum(len(data) for _, data in entries))}, in {args.file}")
    return 0


def _import(native, folder, args):
    """Entries of an archive: each is checked, none is unpacked to a place that the archive names. What was made for another
    build or processor is compiled anew from the kernel's text, which lies beside the code."""
    import tarfile

    counts, texts, bad = {"new": 0, "present": 0, "other build": 0}, set(), 0
    try:
        with tarfile.open(args.file) as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isreg() and member.name.endswith(".ljk") else None
                if data is None:
                    continue
                try:
                    state, text = native.cache_import(folder, data.read())
                except OSError as e:
                    print(f"{member.name}: {e}", file=sys.stderr)
                    bad += 1
                else:
                    counts[state] += 1
                    texts.add(text)
    except tarfile.TarError as e:
        print(f"legate-jit: {args.file}: {e}", file=sys.stderr)
        return 1
    print(f"{counts['new']} new, {counts['present']} already there, {counts['other build']} of another build, {bad} damaged")
    if not args.as_they_are:
        _compile(native, folder, sorted(texts), ["host"], [])
    return 1 if bad else 0


def _compile(native, folder, texts, cpus, gpus):
    """Compiles kernels for each target and says what was done."""
    start = time.perf_counter()
    made, present, refused = native.cache_compile(folder, texts, cpus, gpus)
    seconds = time.perf_counter() - start
    names = ", ".join(["this machine" if c == "host" else c for c in cpus] + gpus)
    print(f"{len(texts)} kernels for {names}: {made} compiled in {seconds:.2f} s, {present} already there", file=sys.stderr)
    for why in sorted(set(refused)):
        print(f"not compiled: {why}", file=sys.stderr)


def _warm(args):
    """Runs a program, with only the arithmetic for values that it asks for, then compiles all that it needs."""
    from . import _native

    folder = args.dir or _native.cache_dir()
    if folder is None:
        print("legate-jit: the kernel cache is off (LEGATE_JIT_CACHE=off)", file=sys.stderr)
        return 1
    cpus, gpus = ([n for n in names.split(",") if n] for names in (args.target_cpu, args.target_gpu))
    try:
        # Wrong names are told before the program runs.
        _native.cache_compile(folder, [], cpus, gpus)
    except (ValueError, OSError) as e:
        print(f"legate-jit: {e}", file=sys.stderr)
        return 2
    if args.args[:1] == ["--"]:
        del args.args[0]
    status = 0
    _native.plan_only()
    try:
        _program(args)
    except SystemExit as e:
        # What it needs is known all the same.
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    _native.sync()
    try:
        _compile(_native, folder, _native.kernels(), cpus, gpus)
    except OSError as e:
        print(f"legate-jit: {folder}: {e}", file=sys.stderr)
        return 1
    return status


def _program(args):
    """Runs a program as `python prog.py args` would."""
    sys.argv = [args.program, *args.args]
    sys.path.insert(0, args.program.rpartition("/")[0] or ".")
    runpy.run_path(args.program, run_name="__main__")


def _report(args):
    import legate_jit

    try:
        _program(args)
    finally:
        legate_jit.report(sys.stderr)
    return 0


def _run(args):
    from . import _ranks

    return _ranks.launch(args.n, [args.program, *args.args], threads=args.threads)


def _config(args):
    import legate_jit

    for name, (value, meaning) in legate_jit.config().items():
        print(f"{name}={value}\n    {meaning}")
    return 0


def main(argv=None):
    parser = argparse.ArgumentParser(prog="legate-jit", description="NumPy programs, recorded, fused and compiled.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True)

    report = commands.add_parser("report", help="run a program, then say what ran in NumPy and count the rest")
    report.set_defaults(run=_report)

    run = commands.add_parser("run", help="run a program on several ranks")
    run.add_argument("-n", type=int, default=1, help="how many ranks")
    run.add_argument("--threads", action="store_true", help="ranks as threads of one process instead of MPI")
    run.set_defaults(run=_run)
    warm = commands.add_parser(
        "warm", help="run a program, computing only the values that it asks for, and compile everything that it needs, for this machine or others"
    )
    warm.add_argument("--target-cpu", default="host", help="processors: host, x86-64-v3, znver4, …, with commas between")
    warm.add_argument("--target-gpu", default="", help="GPUs: sm_80, sm_90, …; the cache keeps their PTX")
    warm.add_argument("--dir", help="the cache's folder, if not the usual one")
    warm.set_defaults(run=_warm)
    for p in (report, run, warm):
        p.add_argument("program")
        p.add_argument("args", nargs=argparse.REMAINDER)

    cache = commands.add_parser("cache", help="look at the kernel cache")
    cache.set_defaults(run=_cache)
    actions = cache.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("ls", help="list the kernels")
    listing.add_argument("--kernels", action="store_true", help="with their texts")
    verify = actions.add_parser("verify", help="find damaged entries")
    prune = actions.add_parser("prune", help="remove damaged entries and what is not to be kept")
    prune.add_argument("--max-size", help="keep at most this many bytes, the last used first")
    prune.add_argument("--max-age", type=float, help="keep what was used in so many days")
    prune.add_argument("--other-builds", action="store_true", help="remove kernels of other builds, too")
    export = actions.add_parser("export", help="write all kernels to a file, for another machine")
    export.add_argument("file", help="a tar archive; compressed if its name ends in gz")
    importing = actions.add_parser("import", help="add the kernels of such a file, and compile those of other processors anew")
    importing.add_argument("file")
    importing.add_argument("--as-they-are", action="store_true", help="compile nothing")
    for p in (listing, verify, prune, export, importing):
        p.add_argument("--dir", help="the cache's folder, if not the usual one")

    commands.add_parser("config", help="the settings and what they mean").set_defaults(run=_config)
    args = parser.parse_args(argv)
    return args.run(args)


def _version():
    from . import __version__

    return f"legate-jit {__version__}"


if __name__ == "__main__":
    sys.exit(main())
