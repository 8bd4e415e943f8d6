"""Writes the tables of Documentation/Performance.md from Benchmarks/.results, between their marker comments.

    Benchmarks/.peers/bin/python Benchmarks/Plots/tables.py
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Benchmarks/.results"
DOCUMENT = ROOT / "Documentation/Performance.md"


def read(name):
    file = RESULTS / name
    return json.loads(file.read_text()) if file.exists() else None


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def share(value):
    return "–" if value is None else f"{value * 100:.0f} %"


def spread(ratio):
    return f"{ratio['min']:.2f} – {ratio['max']:.2f}"


def row_of(workload):
    sign = "≤" if workload["isCeiling"] else "≥"
    median = f"**{workload['ratio']['median']:.2f}**" + ("" if workload["reached"] else " missed")
    against, unit = workload["against"], workload["unit"]
    return [
        workload["workload"],
        f"{figure(workload['value'])} {unit}",
        f"{against}: {figure(workload['baseline'])}",
        median,
        spread(workload["ratio"]),
        f"{sign} {workload['bound']:g}" if "bound" in workload else "–",
        f"{workload['aim']:g}" if "aim" in workload else "–",
        share(workload.get("serverCPUShare")),
    ]


def markdown(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def results_table(report):
    heading = ["workload", "Swift", "against", "ratio, median", "min – max", "needed", "aim", "server CPU"]
    caption = (
        f"{report['server']}, {report['processors']} processors, {report['messages']:,} messages, "
        f"{report['rounds']} rounds, {report['date'][:10]}."
    )
    details = [
        f"- {workload['workload']}: " + ", ".join(f"{name} {value:.2f}" for name, value in workload["details"].items())
        for workload in report["workloads"]
        if workload["details"]
    ]
    return "\n\n".join([markdown(heading, map(row_of, report["workloads"])), caption, "\n".join(details)])


def peers_table(peers):
    heading = ["workload", "client", "messages/s", "ratio to C, median", "min – max", "client CPU, ns/message"]
    rows = [
        [
            peer["workload"],
            peer["client"],
            figure(peer["messagesPerSecond"]),
            f"{peer['ratio']['median']:.2f}",
            spread(peer["ratio"]),
            figure(peer["clientCPUPerMessage"]),
        ]
        for peer in peers
    ]
    return markdown(heading, rows)


def allocations_table(thresholds):
    rows = [[name, f"{value:.2f}"] for name, value in thresholds.items()]
    return markdown(["workload", "at most"], rows)


def replace(text, name, table):
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{DOCUMENT} has no place for '{name}'")
    return pattern.sub(lambda _: f"{begin}\n{table.strip()}\n{end}", text)


def main():
    text = DOCUMENT.read_text()
    if report := read("latest.json"):
        text = replace(text, "results", results_table(report))
    if peers := read("peers.json"):
        text = replace(text, "peers", peers_table(peers["peers"]))
    thresholds = json.loads((ROOT / "Benchmarks/Thresholds.json").read_text())
    text = replace(text, "allocations", allocations_table(thresholds["allocationsPerMessage"]))
    DOCUMENT.write_text(text)
    print(DOCUMENT.relative_to(ROOT))


if __name__ == "__main__":
    main()
