"""Draws Documentation/Performance/*.svg from Benchmarks/.results: what has not been measured is left out.

    Benchmarks/.peers/bin/python Benchmarks/Plots/draw.py
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Benchmarks/.results"
PICTURES = ROOT / "Documentation/Performance"

COLOURS = {
    "C": "#6b7280",
    "Swift": "#d9480f",
    "Swift, loop": "#d9480f",
    "Swift, run": "#1864ab",
    "redis-py": "#2b8a3e",
    "valkey-glide": "#862e9c",
    "node-redis": "#1864ab",
}
MARKERS = {"C": "s", "Swift": "o"}

plt.rcParams.update(
    {
        "svg.hashsalt": "swift-redis-streams",  # The same figures give the same file.
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e5e7eb",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",
    }
)


def read(name):
    file = RESULTS / name
    return json.loads(file.read_text()) if file.exists() else None


def save(figure, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(f"Documentation/Performance/{name}.svg")


def short(value, _=None):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def short_bytes(value, _=None):
    return f"{value / 1000:g} kB" if value >= 1000 else f"{value:g} B"


def draw_lines(axes, sweep, format_x, logarithmic):
    """Medians, and a band from the worst to the best round."""
    for line in sweep["lines"]:
        places = [point["x"] for point in line["points"]]
        rates = [point["rate"] for point in line["points"]]
        name = line["client"]
        axes.fill_between(
            places, [r["min"] for r in rates], [r["max"] for r in rates], color=COLOURS[name], alpha=0.18, linewidth=0
        )
        axes.plot(
            places, [r["median"] for r in rates], color=COLOURS[name], marker=MARKERS[name], markersize=4, label=name
        )
    axes.set_xscale("log")
    axes.set_xticks([point["x"] for point in sweep["lines"][0]["points"]])
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(FuncFormatter(format_x))
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    axes.set_ylabel("messages per second")
    axes.legend(title="median; band: min to max")


def draw_sweeps(sweeps, names, label, picture, format_x=short, logarithmic=False):
    present = [sweeps[name] for name in names if name in sweeps]
    if not present:
        return
    figure, row = plt.subplots(1, len(present), figsize=(1.5 + 4.2 * len(present), 3.8), squeeze=False)
    for axes, sweep in zip(row[0], present):
        draw_lines(axes, sweep, format_x, logarithmic)
        axes.set_title(sweep["name"].split(",")[0])
        axes.set_xlabel(label)
        axes.tick_params(axis="x", labelsize=8)
    save(figure, picture)


def draw_latencies(latencies):
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, distribution in sorted(latencies.items()):
        points = sorted((float(percent), value) for percent, value in distribution.items())
        # The further into the tail, the wider: 90, 99 and 99.9 % are equally far from each other.
        points = [(1 / (1 - percent / 100), value) for percent, value in points if percent < 100]
        axes.plot(*zip(*points), color=COLOURS[name], label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    marks = [0, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99]
    axes.set_xticks([1 / (1 - mark / 100) for mark in marks], [f"{mark:g}" for mark in marks], fontsize=8)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(FuncFormatter(short))
    ticks = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.set_xlabel("percent of the messages")
    axes.set_ylabel("XADD to handler, at most [µs]")
    axes.legend()
    save(figure, "latency")


def draw_ratios(report):
    rows = [row for row in report["workloads"] if row["against"] == "C" and not row["isCeiling"]][::-1]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.42 * len(rows)))
    for place, row in enumerate(rows):
        ratio = row["ratio"]
        axes.plot([ratio["min"], ratio["max"]], [place, place], color=COLOURS["Swift"], linewidth=5, alpha=0.3)
        axes.plot(ratio["median"], place, "o", color=COLOURS["Swift"], label="Swift, median and range" if not place else "")
        axes.plot(row["bound"], place, "|", color="black", markersize=14, label="needed" if not place else "")
    axes.axvline(1, color=COLOURS["C"], label="plain C loop")
    axes.set_yticks(range(len(rows)), [row["workload"] for row in rows])
    axes.set_xlabel("rate, as a ratio to plain C on hiredis")
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, "ratios")


def draw_peers(peers):
    workloads = list(dict.fromkeys(row["workload"] for row in peers))
    clients = list(dict.fromkeys(row["client"] for row in peers))
    figure, axes = plt.subplots(figsize=(8, 3.8))
    width = 0.8 / len(clients)
    for number, client in enumerate(clients):
        rows = {row["workload"]: row["ratio"] for row in peers if row["client"] == client}
        places = [index + (number - (len(clients) - 1) / 2) * width for index in range(len(workloads))]
        ratios = [rows[workload] for workload in workloads]
        spread = [[r["median"] - r["min"] for r in ratios], [r["max"] - r["median"] for r in ratios]]
        axes.bar(places, [r["median"] for r in ratios], width * 0.9, yerr=spread, color=COLOURS[client],
                 label=client, error_kw={"elinewidth": 1, "ecolor": "#111827"})
    axes.set_xticks(range(len(workloads)), workloads)
    axes.set_ylabel("rate, plain C = 1")
    axes.grid(axis="x", visible=False)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), title="median; line: min to max")
    save(figure, "peers")


def main():
    if report := read("latest.json"):
        draw_ratios(report)
    if sweeps := read("sweeps.json"):
        sweeps = {sweep["name"]: sweep for sweep in sweeps["sweeps"]}
        draw_sweeps(sweeps, ["fan-out read, COUNT", "group read, COUNT"], "COUNT: entries in one reply", "count")
        draw_sweeps(sweeps, ["fan-out read, size", "group read, size", "produce, size"], "size of the field 'payload'",
                    "size", short_bytes, logarithmic=True)
        draw_sweeps(sweeps, ["group read, consumers"], "consumers of the group", "consumers")
        draw_sweeps(sweeps, ["group read, backlog"], "entries in the stream", "backlog")
    if latencies := read("latencies.json"):
        draw_latencies(latencies["latencies"])
    if peers := read("peers.json"):
        draw_peers(peers["peers"])


if __name__ == "__main__":
    main()
