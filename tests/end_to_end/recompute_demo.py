"""Recomputes the figures of calserve-demo from the store alone, and compares them to 1e-6.

    recompute_demo.py STORE.db FIGURES.json

Shares no code with the server: Python's standard library only. Accuracy, mean confidence, ECE, MCE and noise floor
come of the confidence as served (float32, in the store). NLL and Brier come of the stored logits, the largest as
float32 and the others as float16 below it, through the calibrator that served, whose probabilities are float32 as
the server's are.
"""
import bisect
import json
import math
import sqlite3
import struct
import sys

BINS = 15
MAX_NLL = 100.0
TOLERANCE = 1e-6
FIGURES = ("n", "accuracy", "mean_confidence", "ece", "noise_floor", "mce", "nll", "brier")


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def logits_of(max_logit, halves):
    return [float32(max_logit + half) for half in struct.unpack(f"<{len(halves) // 2}e", halves)]


def softmax(logits, temperature=1.0, epsilon=0.0):
    largest = max(logits)
    powers = [math.exp((z - largest) / temperature) for z in logits]
    total = math.fsum(powers)
    return [(1 - epsilon) * power / total + epsilon / len(logits) for power in powers]


def platt_one_vs_rest(logits, slopes, offsets):
    largest = max(logits)
    log_sum = largest + math.log(math.fsum(math.exp(z - largest) for z in logits))
    terms = []
    for z, slope, offset in zip(logits, slopes, offsets):
        t = slope * (z - log_sum) + offset
        terms.append(math.exp(-t) / (1 + math.exp(-t)) if t > 0 else 1 / (1 + math.exp(t)))
    total = math.fsum(terms)
    return [term / total if total > 0 else 1 / len(terms) for term in terms]


def probabilities(logits, calibrator):
    if calibrator is None:
        exact = softmax(logits)
    elif calibrator["method"] == "temperature":
        exact = softmax(logits, **calibrator["parameters"])
    elif calibrator["method"] == "platt_one_vs_rest":
        exact = platt_one_vs_rest(logits, calibrator["parameters"]["slope"], calibrator["parameters"]["offset"])
    else:
        raise ValueError(f"unexpected method {calibrator['method']}")
    return [float32(p) for p in exact]


def metrics(rows):
    """rows: (confidence, correct, label, probabilities of every class)."""
    edges = [j / BINS for j in range(BINS)]
    bins = [[] for _ in range(BINS)]
    nll, brier = [], []
    for confidence, correct, label, p in rows:
        # (lower, upper], and 0 in the first.
        bins[max(0, bisect.bisect_left(edges, confidence) - 1)].append((confidence, correct))
        nll.append(min(MAX_NLL, -math.log(p[label])) if p[label] > 0 else MAX_NLL)
        brier.append(math.fsum((value - (k == label)) ** 2 for k, value in enumerate(p)))
    n = len(rows)
    gaps, floor = [], []
    for members in filter(None, bins):
        confidence = math.fsum(c for c, _ in members) / len(members)
        accuracy = sum(correct for _, correct in members) / len(members)
        gaps.append((len(members), abs(accuracy - confidence)))
        floor.append(math.sqrt(2 * confidence * (1 - confidence) * len(members) / math.pi))
    return {
        "n": n,
        "accuracy": sum(correct for _, correct, _, _ in rows) / n,
        "mean_confidence": math.fsum(confidence for confidence, _, _, _ in rows) / n,
        "ece": math.fsum(count * gap for count, gap in gaps) / n,
        "noise_floor": math.fsum(floor) / n,
        "mce": max(gap for _, gap in gaps),
        "nll": math.fsum(nll) / n,
        "brier": math.fsum(brier) / n,
    }


def read_labels(store):
    """{calibrator version: its labels}, and {version: calibrator}, as the store has them."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    calibrators = {version: json.loads(content)
                   for version, content in db.execute("SELECT version, content FROM calibrators")}
    labels = {}
    query = """SELECT calibrator_version, label, predicted_class, uncalibrated_class, confidence,
                      uncalibrated_confidence, max_logit, logits
               FROM feedback JOIN served ON served.id = served_id ORDER BY position"""
    for version, *label in db.execute(query):
        labels.setdefault(version, []).append(label)
    return labels, calibrators


def served(labels, calibrator):
    return metrics([(confidence, predicted == label, label, probabilities(logits_of(top, halves), calibrator))
                    for label, predicted, _, confidence, _, top, halves in labels])


def uncalibrated(labels):
    return metrics([(confidence, predicted == label, label, probabilities(logits_of(top, halves), None))
                    for label, _, predicted, _, confidence, top, halves in labels])


def applied(labels, calibrator):
    """What a calibrator makes of the stored logits of labels that it did not serve."""
    rows = []
    for label, _, _, _, _, top, halves in labels:
        p = probabilities(logits_of(top, halves), calibrator)
        rows.append((max(p), p.index(max(p)) == label, label, p))
    return metrics(rows)


def compare(figures, labels, calibrators):
    for part in ("first", "second"):
        version = figures[part]["calibrator_version"]
        yield from differences(f"{part}.served", figures[part]["served"],
                               served(labels[version], calibrators.get(version)))
        yield from differences(f"{part}.uncalibrated", figures[part]["uncalibrated"], uncalibrated(labels[version]))
    first = labels[figures["first"]["calibrator_version"]]
    for fitted in figures["fitted"]:
        name = f"fitted {fitted['method']}"
        yield from differences(f"{name} before", fitted["report"]["before"], applied(first, None))
        yield from differences(f"{name} after", fitted["report"]["after"],
                               applied(first, calibrators[fitted["version"]]))


def differences(name, figures, recomputed):
    print(f"{name}: " + ", ".join(f"{key} {recomputed[key]:.6g}" for key in FIGURES))
    for key in FIGURES:
        given, own = figures[key], recomputed[key]
        if not abs(given - own) <= TOLERANCE:
            yield f"{name}.{key}: the demo says {given!r}, the store {own!r}"


def main():
    store, figures_file = sys.argv[1:]
    with open(figures_file, encoding="utf-8") as file:
        figures = json.load(file)
    found = list(compare(figures, *read_labels(store)))
    print("\n".join(found) if found else f"every figure agrees to {TOLERANCE}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
