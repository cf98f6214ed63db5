# SPDX-License-Identifier: Apache-2.0
"""Records of benchmarks, and whether their ratios hold against the committed ones.

A record is a JSON object on a line of its own:
  {"name", "rival", "bytes", "seconds", "cpu_seconds", "peak_bytes", "ratio"}
The ratio is how many times as fast as its rival a case is, both measured in the same run; more is
better. Without a rival both are null. A case that cannot run has {"name", "rival", "skipped": why},
one that went wrong "failed". Seconds are never compared between runs: machines and their load differ."""
import json

LOSS = 0.15  # of a ratio; more is a failure
TRIES = 4  # one run, and three more for what seems lost: noise does not hit the same case four times


def read_records(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def key(record):
    return record["name"], record.get("rival")


def measured(records):
    """(name, rival) to ratio, of those that have one."""
    return {key(r): r["ratio"] for r in records if r.get("ratio")}


def reasons(records, why):
    """(name, rival) to words; why: "skipped" or "failed"."""
    return {key(r): r[why] for r in records if why in r}


def is_lost(committed, now):
    return now < committed * (1 - LOSS)


class Verdict:
    """Of committed ratios and what was measured now."""

    def __init__(self):
        self.best, self.skipped, self.failed = {}, {}, {}

    def add(self, records):
        for k, ratio in measured(records).items():
            self.best[k] = max(ratio, self.best.get(k, 0))
        self.skipped |= reasons(records, "skipped")
        self.failed |= reasons(records, "failed")

    def lost(self, committed):
        """Those that were measured and are worse than they may be."""
        return {k for k, ratio in committed.items() if k in self.best and is_lost(ratio, self.best[k])}

    def complaints(self, committed):
        """A line for each committed case that does not hold."""
        for (name, rival), ratio in sorted(committed.items(), key=str):
            k = name, rival
            if k in self.best:
                now = self.best[k]
                if is_lost(ratio, now):
                    yield (f"{name} against {rival}: committed {ratio:.2f}, now {now:.2f} "
                           f"({(now / ratio - 1) * 100:+.0f} %)")
            elif k in self.failed:
                yield f"{name} against {rival}: committed {ratio:.2f}, now it fails: {self.failed[k]}"
            elif k not in self.skipped:
                yield (f"{name} against {rival}: committed {ratio:.2f}, now there is no such case: "
                       "--update, if that is meant")

    def notes(self, committed):
        """A line for each case that could not be compared, and need not."""
        for k in sorted(set(committed) & set(self.skipped) - set(self.best), key=str):
            yield f"{k[0]} against {k[1]}: skipped: {self.skipped[k]}"
        for k in sorted(set(self.best) - set(committed), key=str):
            yield f"{k[0]} against {k[1]}: {self.best[k]:.2f}, not committed yet"


def check(committed, measure):
    """The verdict. measure(names) runs cases and returns their records; what seems
    lost is run again, and the best counts."""
    verdict = Verdict()
    names = sorted({name for name, _ in committed})
    for _ in range(TRIES):
        verdict.add(measure(names))
        names = sorted({name for name, _ in verdict.lost(committed)})
        if not names:
            break
    return verdict


def load(path):
    """Committed ratios, by (name, rival)."""
    with open(path, encoding="utf-8") as f:
        return {(r["name"], r["rival"]): r["ratio"] for r in json.load(f)["ratios"]}


def save(path, machine, ratios):
    """One line for each, so that a difference can be read."""
    lines = [json.dumps({"name": name, "rival": rival, "ratio": float(f"{ratio:.3g}")})
             for (name, rival), ratio in sorted(ratios.items(), key=str)]
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"machine": ' + json.dumps(machine) + ',\n "ratios": [\n  ' + ",\n  ".join(lines) + "\n]}\n")
