"""The command `legate-jit`: reports, the kernel cache, and programs under several ranks."""

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
        return {"ls": _ls, "verify": _verify, "prune": _prune}[args.action](_native, folder, args)
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
    for p in (report, run):
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
    for p in (listing, verify, prune):
        p.add_argument("--dir", help="the cache's folder, if not the usual one")

    commands.add_parser("config", help="the settings and what they mean").set_defaults(run=_config)
    args = parser.parse_args(argv)
    return args.run(args)


def _version():
    from . import __version__

    return f"legate-jit {__version__}"


if __name__ == "__main__":
    sys.exit(main())
