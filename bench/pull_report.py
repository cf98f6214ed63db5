# SPDX-License-Identifier: Apache-2.0
"""What compare found: merging of earlier results, Markdown, and records.

Results are a dict: "machine" (lines), "date", "images" (as pull_images knows them) and "cases", a
list of {image, store, tool} with either "runs" (as pull_measure gives them) or "cannot" (why).
"""
import json
import statistics

BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
# Title, what of a run, on which store (None: the first there is), unit, decimals.
TABLES = [
    ("Wall time, tmpfs", "wall", "tmpfs", "s", 2),
    ("CPU time, tmpfs", "cpu", "tmpfs", "s", 2),
    ("Wall time, fresh ext4 (Sluice syncs, nobody else does)", "wall", "ext4", "s", 2),
    ("Wall time, fresh ext4, until all is on the disk (`sync -f` behind each)", "synced", "ext4",
     "s", 2),
    ("CPU time, fresh ext4", "cpu", "ext4", "s", 2),
    ("Peak memory of the largest process", "rss", None, "MiB", 0),
]


def merge(older, newer):
    """Cases of the newer results replace those of the older."""
    cases = {(case["image"], case["store"], case["tool"]): case
             for results in (older, newer) for case in results.get("cases", [])}
    return {**older, **newer, "images": {**older.get("images", {}), **newer.get("images", {})},
            "cases": list(cases.values())}


def case_of(results, image, store, tool):
    return next((case for case in results["cases"]
                 if (case["image"], case["store"], case["tool"]) == (image, store, tool)), None)


def median(case, what):
    if not case or not case.get("runs"):
        return None
    return statistics.median(run[what] for run in case["runs"])


def ratio(results, image, store, tool, what):
    """To Sluice in the same series, or None."""
    own = median(case_of(results, image, store, "sluice"), what)
    other = median(case_of(results, image, store, tool), what)
    return other / own if own and other else None


def in_order(results, what):
    return list(dict.fromkeys(case[what] for case in results["cases"]))


def reasons(results):
    """Each reason why a tool cannot, numbered for footnotes."""
    known = dict.fromkeys(case["cannot"] for case in results["cases"] if "cannot" in case)
    return {reason: number for number, reason in enumerate(known, 1)}


# ---- Markdown ----

def cell(results, image, store, tool, what, decimals, notes):
    case = case_of(results, image, store, tool)
    value = median(case, what)
    if value is None:
        return f"- [{notes[case['cannot']]}]" if case and "cannot" in case else ""
    if tool == "sluice":
        return f"**{value:.{decimals}f}**"
    of = ratio(results, image, store, tool, what)
    return f"{value:.{decimals}f} ({of:.1f}×)" if of else f"{value:.{decimals}f}"


def table(results, title, what, store, unit, decimals):
    tools = in_order(results, "tool")
    store = store or in_order(results, "store")[0]
    images = [image for image in in_order(results, "image")
              if any(case["image"] == image and case["store"] == store
                     for case in results["cases"])]
    if not images:
        return []
    notes = reasons(results)
    return ["", f"{title}, {unit}:", "", f"| Image | {' | '.join(tools)} |",
            "|---" * (len(tools) + 1) + "|"] + [
        f"| {image} | " + " | ".join(cell(results, image, store, tool, what, decimals, notes)
                                     for tool in tools) + " |" for image in images]


def image_table(results):
    shapes = dict.fromkeys(image.split(":")[0] for image in in_order(results, "image"))
    lines = ["| Image | layers | files | plain MB | gzip MB | zstd MB |", "|---|---|---|---|---|---|"]
    for shape in shapes:
        known = results["images"][shape]
        packed = [f"{known['kinds'][kind] / 1e6:.0f}" if kind in known["kinds"] else ""
                  for kind in ("gzip", "zstd")]
        lines.append(f"| {shape} | {known['layers']} | {known['files']} | {known['plain'] / 1e6:.0f} "
                     f"| {packed[0]} | {packed[1]} |")
    return lines


def markdown(results):
    runs = max((len(case["runs"]) for case in results["cases"] if "runs" in case), default=0)
    lines = [f"{results['date']}: " + "; ".join(results["machine"]) + ".",
             f"Medians of {runs}, in brackets the ratio to Sluice in the same series.", "",
             *image_table(results)]
    for each in TABLES:
        lines += table(results, *each)
    notes = [f"[{number}] {reason}" for reason, number in reasons(results).items()]
    return "\n".join(lines + ["", "; ".join(notes)] if notes else lines) + "\n"


def update_between_markers(path, text, begin=BEGIN, end=END):
    old = path.read_text()
    if begin not in old or end not in old:
        raise RuntimeError(f"{path}: has no lines {begin} and {end}: put them where the tables go")
    head, tail = old.split(begin)[0], old.split(end)[1]
    path.write_text(f"{head}{begin}\n{text}{end}{tail}")


# ---- records ----

def records(results):
    """One for each case that was measured; `bytes` are plain, `ratio` is of wall time to Sluice."""
    for case in results["cases"]:
        if not case.get("runs"):
            continue
        image, store, tool = case["image"], case["store"], case["tool"]
        of = ratio(results, image, store, tool, "wall")
        yield {"name": f"compare/{image}/{store}", "rival": tool,
               "bytes": results["images"][image.split(":")[0]]["plain"],
               "seconds": round(median(case, "wall"), 4),
               "cpu_seconds": round(median(case, "cpu"), 4),
               "peak_bytes": int(median(case, "rss") * (1 << 20)),
               "ratio": round(of, 4) if of else None}


def write_records(results, path):
    path.write_text("".join(json.dumps(record) + "\n" for record in records(results)))
