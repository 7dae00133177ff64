"""What run.py and cold.py measured, as text for a terminal, as Markdown, and as one HTML page with plots.

    python bench/report.py [results]      writes results.md and report.html from results.json (and cold.json) again

The page needs nothing but itself: the plots are drawn here, in SVG. What the columns mean stands at the top of run.py.
Nothing here measures anything.
"""

import html
import json
import math
import sys
from pathlib import Path

import harness
import peers
from harness import seconds, size

HEADINGS = (
    "program",
    "by",
    "first call",
    "first, cached",
    "steady",
    "× NumPy",
    "memory",
    "limit",
    "of limit",
    "result",
)
COLOURS = {
    "numpy": "#8a9096",
    "ours": "#1a73e8",
    "numba": "#12a37f",
    "jax": "#c26401",
    "numexpr": "#8e5bd0",
    "torch": "#d93025",
    "dask": "#b8a100",
    "cupynumeric": "#5f8a00",
}


# figures over all programs ------------------------------------------------------------------------------------------


def geometric_mean(values):
    """None where there is nothing to average."""
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def figure(row, name, key):
    """What was measured for a peer, or None: not run, wrong, or not above zero (a log has no place for it)."""
    value = row["peers"].get(name, {}).get(key)
    return value if value and value > 0 else None


def against(rows, name, key, other):
    """The ratios other / name over the programs that have both: above 1 where `name` needs less."""
    for row in rows:
        mine = figure(row, name, key)
        base = other(row)
        if mine and base:
            yield row["program"], base / mine


def numpys(key):
    return lambda row: figure(row, "numpy", key)


def best_other(key):
    """The least of all others of a program, NumPy among them."""

    def least(row):
        found = [figure(row, name, key) for name in row["peers"] if name != "ours"]
        return min((v for v in found if v), default=None)

    return least


def means(report):
    """[(what, of whom, geometric mean, number of programs, the programs below 1)], ours first."""
    rows, out = report["rows"], []
    kinds = (("steady", "steady state"), ("first_cold", "first call, empty cache"), ("first_warm", "first call, cached"))
    names = sorted(report["versions"], key=lambda n: (n != "ours", list(COLOURS).index(n)))
    for key, words in kinds:
        for name in names:
            ratios = [] if name == "numpy" else list(against(rows, name, key, numpys(key)))
            if ratios:
                out.append((f"{words}, × NumPy", name, ratios))
        ratios = list(against(rows, "ours", key, best_other(key)))
        if ratios and len(names) > 2:
            out.append((f"{words}, × best of the others", "ours", ratios))
    for name in names:
        ratios = [] if name == "numpy" else list(against(rows, name, "peak", numpys("peak")))
        if ratios:
            out.append(("NumPy's peak memory over this", name, ratios))
    return [
        (what, name, geometric_mean(r for _, r in ratios), len(ratios), [p for p, r in ratios if r < 1])
        for what, name, ratios in out
    ]


def summary(report):
    """The means as lines for a terminal."""
    lines = []
    for what, name, mean, count, below in means(report):
        line = f"{what:42} {peers.load(name).TITLE:12} {mean:7.3g}   ({count} programs)"
        if name == "ours" and below:
            line += f"; below 1: {', '.join(below)}"
        lines.append(line)
    return lines


# the table ----------------------------------------------------------------------------------------------------------


def cells(row):
    """The lines of a row of the report, one for each peer, as texts."""
    for name, entry in row["peers"].items():
        if entry["ok"]:
            words = "reference" if name == "numpy" else "; ".join(sorted(set(entry["checks"].values()))) or "ok"
            if len(words) > 60:
                words = "within bounds" if name != "ours" else words
        else:
            words = entry.get("error") or "; ".join(
                f"{k} {v}" for k, v in entry["checks"].items() if v.startswith("WRONG")
            )
        yield (
            name,
            (
                row["program"],
                peers.load(name).TITLE,
                seconds(entry.get("first_cold")),
                seconds(entry.get("first_warm")),
                seconds(entry.get("steady")),
                f"{entry['speedup']:.2f}" if "speedup" in entry else "–",
                size(entry.get("peak")),
                f"{seconds(row['limit_s'])} ({row['limit_by']})",
                f"{100 * entry['of_limit']:.0f} %" if "of_limit" in entry else "–",
                words,
            ),
        )


def describe(report):
    m, limits = report["machine"], report["limits"]
    large = max(limits["bandwidth"], key=int)
    one, many = limits["runs"][0], limits["runs"][-1]
    slow, fast = (run["bandwidth"][str(large)] / 1e9 for run in (one, many))
    lines = [
        f"{m['cpu']}, {report['threads']} of {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, "
        f"Python {m['python']}",
        f"copy bandwidth (read + write, {size(int(large))}): {slow:.1f} GB/s with 1 thread, {fast:.1f} GB/s with "
        f"{many['threads']}, reading {one['reading'] / 1e9:.1f} and {many['reading'] / 1e9:.1f}; matrix product: {one['flops'] / 1e9:.0f} and {many['flops'] / 1e9:.0f} Gflop/s",
        f"sizes: {report['size']}; {report['repeat']} alternating rounds, medians; "
        + ", ".join(f"{peers.load(k).TITLE} {v}" for k, v in report["versions"].items()),
    ]
    if m["load"] > 0.5:
        lines.append(
            f"the machine was busy with other work at the start (load {m['load']}): these times are not reliable"
        )
    lines += [f"not run: {peers.load(k).TITLE} ({why})" for k, why in report["missing"].items()]
    return lines


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    out += ["| " + " | ".join(str(text).replace("|", "/") for text in line) + " |" for line in lines]
    return out


def mean_cells(report):
    head = ("geometric means", "by", "", "programs", "below 1")
    return head, [
        (what, peers.load(name).TITLE, f"{mean:.3g}", count, ", ".join(below) if name == "ours" else len(below))
        for what, name, mean, count, below in means(report)
    ]


COLD_HEADINGS = (
    "program", "size", "NumPy", "empty cache", "filled cache", "compiled", "compiled again", "NumPy's memory",
    "memory, empty", "memory, filled",
)  # fmt: skip


def cold_cells(cold):
    """From the start of the process to the first result, as cold.py measured it."""
    for row in cold["rows"]:
        kinds = [row[k] for k in ("numpy", "empty", "filled")]
        yield (
            row["program"],
            row["size"],
            *(seconds(k["first"]) for k in kinds),
            row["empty"]["kernels_compiled"],
            row["filled"]["kernels_compiled"],
            *(size(k["peak"]) for k in kinds),
        )


COLD_WORDS = (
    "From the start of a process to its first result, interpreter and imports included, with an empty and a filled cache "
    "of compiled code; the largest resident set of the process's life."
)


def markdown(report, cold=None):
    out = ["# Benchmark", ""] + [f"- {line}" for line in describe(report)] + [""]
    out += table(*mean_cells(report)) + [""]
    out += table(HEADINGS, (line for row in report["rows"] for _, line in cells(row)))
    out += ["", "Parameters: " + "; ".join(
        f"{row['program']} " + ", ".join(f"{k}={v}" for k, v in row["params"].items()) for row in report["rows"]
    ), ""]  # fmt: skip
    out += [f"- {row['program']}: {note}" for row in report["rows"] for note in row["notes"]]
    if cold:
        out += ["", "## Starting", "", COLD_WORDS, ""] + table(COLD_HEADINGS, cold_cells(cold))
    return "\n".join(out) + "\n"


# the page -----------------------------------------------------------------------------------------------------------


def plot(title, rows, series, mark=None, unit="×"):
    """Dots on a logarithmic axis, a line for each row: rows = [(name, tooltip)], series = [(label, colour, filled,
    values by name)], mark = values by name of a short black stroke (the limit)."""
    values = [v for *_, by in series for v in by.values()] + list((mark or {}).values())
    if not values:
        return ""
    low = math.floor(math.log10(min(values)) * 2) / 2
    high = max(math.ceil(math.log10(max(values)) * 2) / 2, low + 1)
    left, right, top, line = 150, 20, 46, 17
    width = 980
    height = top + line * len(rows) + 30

    def x(v):
        return left + (math.log10(v) - low) / (high - low) * (width - left - right)

    out = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">']
    out.append(f'<title>{html.escape(title)}</title><text x="{left}" y="14" class="t">{html.escape(title)}</text>')
    at = left
    for label, colour, filled, _ in series:
        out.append(f'<circle cx="{at + 5}" cy="29" r="4.5" fill="{colour if filled else "white"}" stroke="{colour}"/>')
        out.append(f'<text x="{at + 14}" y="33">{html.escape(label)}</text>')
        at += 28 + 7.2 * len(label)
    if mark:
        out.append(f'<path d="M{at + 5} 23v12" stroke="#000" stroke-width="2"/><text x="{at + 12}" y="33">limit</text>')
    bottom = top + line * len(rows)
    for decade in range(math.floor(low), math.ceil(high) + 1):
        for step in (1, 2, 5):
            v = step * 10.0**decade
            if low - 1e-9 <= math.log10(v) <= high + 1e-9:
                strong = "#999" if v == 1 else "#e4e4e4"
                out.append(f'<path d="M{x(v):.1f} {top}V{bottom}" stroke="{strong}"/>')
                if step == 1 or high - low <= 2.5:
                    out.append(f'<text x="{x(v):.1f}" y="{bottom + 15}" text-anchor="middle">{v:g}{unit}</text>')
    for i, (name, words) in enumerate(rows):
        y = top + line * i + line / 2
        out.append(f"<g><title>{html.escape(words)}</title>")
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
        out.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="#f0f0f0"/></g>')
        if mark and name in mark:
            out.append(f'<path d="M{x(mark[name]):.1f} {y - 6:.1f}v12" stroke="#000" stroke-width="2"/>')
        for label, colour, filled, by in series:
            if name in by:
                fill = colour if filled else "white"
                out.append(
                    f'<circle cx="{x(by[name]):.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" fill-opacity="0.85" '
                    f'stroke="{colour}"><title>{html.escape(label)}: {by[name]:.3g}{unit}</title></circle>'
                )
    out.append("</svg>")
    return "\n".join(out)


def speed_plot(report):
    rows = report["rows"]
    names = [n for n in COLOURS if n != "numpy" and any(figure(r, n, "speedup") for r in rows)]
    # Ours last, so that its dot lies on top.
    series = [
        (peers.load(n).TITLE, COLOURS[n], True, dict(against(rows, n, "steady", numpys("steady"))))
        for n in sorted(names, key=lambda n: n == "ours")
    ]
    limit = {r["program"]: figure(r, "numpy", "steady") / r["limit_s"] for r in rows if figure(r, "numpy", "steady")}
    return plot("Speed in multiples of NumPy's, steady state", labels(rows), series, limit)


def first_plot(report):
    rows, series = report["rows"], []
    for name in ("numba", "jax", "ours"):
        for key, filled, words in (("first_cold", False, "empty cache"), ("first_warm", True, "cached")):
            by = dict(against(rows, name, key, numpys(key)))
            if by:
                series.append((f"{peers.load(name).TITLE}, {words}", COLOURS[name], filled, by))
    return plot("Speed of the first call in a process, in multiples of NumPy's", labels(rows), series)


def memory_plot(report):
    rows = report["rows"]
    series = [
        (peers.load(n).TITLE, COLOURS[n], True, {p: 1 / r for p, r in against(rows, n, "peak", numpys("peak"))})
        for n in sorted(COLOURS, key=lambda n: n == "ours")
        if n != "numpy"
    ]
    return plot("Peak memory in multiples of NumPy's", labels(rows), [s for s in series if s[3]])


def labels(rows):
    return [
        (r["program"], f"{r['summary']}: " + ", ".join(f"{k}={v}" for k, v in r["params"].items())) for r in rows
    ]


STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: 2px 9px; text-align: right; white-space: nowrap }
td:nth-child(-n+2), td:last-child { text-align: left }
td:last-child { white-space: normal; max-width: 34em; color: #666 }
.f td { border-top: 1px solid #ccc }
.ours td { background: #eef4fe }
svg { display: block; margin: 2em 0; font: 12px system-ui, sans-serif }
.t { font-weight: bold }
"""


def rows_of(head, lines):
    """The inside of a table; a line is texts, or (class, title, texts)."""
    yield "<table><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"
    for line in lines:
        kind, title, texts = line if isinstance(line, tuple) and isinstance(line[-1], tuple) else ("", "", line)
        yield f"<tr class='{kind}' title='{html.escape(title)}'>" + "".join(
            f"<td>{html.escape(str(t))}</td>" for t in texts
        ) + "</tr>"
    yield "</table>"


def page(report, cold=None):
    """The report as one HTML page that needs nothing else."""
    body = ["<h1>Benchmark</h1><ul>"] + [f"<li>{html.escape(line)}</li>" for line in describe(report)] + ["</ul>"]
    body += rows_of(*mean_cells(report))
    body += [speed_plot(report), first_plot(report), memory_plot(report), "<h2>All numbers</h2>"]
    lines = []
    for row in report["rows"]:
        params = ", ".join(f"{k}={v}" for k, v in row["params"].items())
        for i, (name, line) in enumerate(cells(row)):
            kind = ("f " if i == 0 else "") + ("ours" if name == "ours" else "")
            lines.append((kind, f"{row['summary']}: {params}", line))
    body += rows_of(HEADINGS, lines)
    notes = [f"<li>{row['program']}: {html.escape(n)}</li>" for row in report["rows"] for n in row["notes"]]
    if notes:
        body.append("<ul>" + "".join(notes) + "</ul>")
    if cold:
        body += ["<h2>Starting</h2>", f"<p>{html.escape(COLD_WORDS)}</p>"]
        body += rows_of(COLD_HEADINGS, cold_cells(cold))
    head = f"<!doctype html><meta charset=utf-8><title>Benchmark</title><style>{STYLE}</style>"
    return head + "\n".join(body)


def write(report, out, cold=None):
    """results.json, results.md and report.html in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(report, indent=1))
    (out / "results.md").write_text(markdown(report, cold))
    (out / "report.html").write_text(page(report, cold))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else harness.BENCH / "results"
    report = json.loads((out / "results.json").read_text())
    cold = json.loads((out / "cold.json").read_text()) if (out / "cold.json").exists() else None
    write(report, out, cold)
    print("\n".join(summary(report)))
    print(f"written: {out}/results.md, report.html")


if __name__ == "__main__":
    main()
