#!/usr/bin/env python3
"""Writes the oracle values that tests/unit/calibration holds the library against.

Every expected number is computed here by another package (scikit-learn, torchmetrics, netcal, SciPy, relplot,
uncertainty-calibration, MAPIE), or is quoted from the source that "source" names and recomputed here; where packages
disagree with the definition, the case says so.

  python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python make_oracles.py
"""

import json
import math
import sys
import pathlib
import platform
from importlib import metadata

import metric_oracles
import netcal
import netcal.metrics
import numpy as np
import scipy
import scipy.optimize
import scipy.special
import sklearn
import torch
import torchmetrics
from sklearn.calibration import _sigmoid_calibration, _TemperatureScaling, calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error

HERE = pathlib.Path(__file__).parent
VERSIONS = {
    "python": platform.python_version(),
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "scikit-learn": sklearn.__version__,
    "torch": torch.__version__,
    "torchmetrics": torchmetrics.__version__,
    "netcal": netcal.__version__,
    **{package: metadata.version(package) for package in ("relplot", "uncertainty-calibration", "MAPIE")},
}


def write(name, cases):
    document = {"made_by": f"tests/oracles/{pathlib.Path(sys.argv[0]).name}", "versions": VERSIONS, **cases}
    path = HERE / f"{name}.json"
    if "--check" in sys.argv[1:]:
        check(name, json.loads(path.read_text()), json.loads(json.dumps(document)))
        print(f"{name}.json: as the installed packages compute it")
        return
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


def check(place, committed, computed):
    """Raises unless both documents say the same: numbers to 1e-7 relative, the rest exactly, versions aside.

    What a package itself says where it is not exact ("others") differs from machine to machine, probmetrics' float32 by
    1e-3: it is held to 2e-3.
    """
    if isinstance(committed, dict):
        assert committed.keys() == computed.keys(), place
        for key in committed:
            if key != "versions":
                check(f"{place}.{key}", committed[key], computed[key])
    elif isinstance(committed, list):
        assert len(committed) == len(computed), place
        for index, (one, other) in enumerate(zip(committed, computed)):
            check(f"{place}[{index}]", one, other)
    elif isinstance(committed, float):
        inexact = ".others." in place
        close = math.isclose(committed, computed, rel_tol=0 if inexact else 1e-7, abs_tol=2e-3 if inexact else 1e-12)
        assert close, (place, committed, computed)
    else:
        assert committed == computed, (place, committed, computed)


def as_list(array):
    return np.asarray(array).tolist()


def float32(values):
    """Doubles that are float32 values, so that both sides bin the same numbers."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


# --- Reliability: ECE and MCE ----------------------------------------------------------------------------------------


def torchmetrics_error(confidence, correct, bins, norm):
    return binary_calibration_error(
        torch.tensor(confidence, dtype=torch.float64), torch.tensor(correct), n_bins=bins, norm=norm
    ).item()


def netcal_error(confidence, correct, bins, metric):
    return float(metric(bins).measure(np.asarray(confidence), np.asarray(correct)))


def sklearn_bins(confidence, correct, bins):
    """Accuracy and mean confidence of the non-empty bins, and ECE and MCE from them."""
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins)
    # calibration_curve keeps its counts to itself; this is its own expression for the bins.
    index = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    counts = np.bincount(index, minlength=bins)
    counts = counts[counts > 0]
    gaps = np.abs(accuracy - mean)
    return accuracy, mean, float(np.sum(counts * gaps) / counts.sum()), float(gaps.max())


def reliability_case(name, confidence, correct, bins, agreeing=("torchmetrics", "netcal", "scikit-learn"), **more):
    confidence = float32(confidence)
    correct = np.asarray(correct, dtype=int)
    accuracy, mean, ece, mce = sklearn_bins(confidence, correct, bins)
    others = {
        "torchmetrics": (torchmetrics_error(confidence, correct, bins, "l1"),
                         torchmetrics_error(confidence, correct, bins, "max")),
        "netcal": (netcal_error(confidence, correct, bins, netcal.metrics.ECE),
                   netcal_error(confidence, correct, bins, netcal.metrics.MCE)),
        "scikit-learn": (ece, mce),
    }
    for package, values in others.items():
        agrees = np.allclose(values, (ece, mce), atol=1e-6)
        assert agrees == (package in agreeing), (name, package, values, (ece, mce))
    return {
        "name": name, "bins": bins, "confidence": as_list(confidence), "correct": as_list(correct),
        "ece": ece, "mce": mce, "bin_accuracy": as_list(accuracy), "bin_confidence": as_list(mean),
        "agreeing": list(agreeing), "others": {package: list(values) for package, values in others.items()}, **more,
    }


def reliability():
    random = np.random.default_rng(20170806)
    cases = []
    for rows, bins in [(50, 5), (200, 15), (500, 20)]:
        confidence = float32(1 - 0.8 * random.random(rows) ** 2)
        correct = random.random(rows) < confidence - 0.1
        cases.append(reliability_case(f"random {rows} rows in {bins} bins", confidence, correct, bins))
    cases += [
        # scikit-learn's own tests of calibration_curve. netcal moves 0 and 1 by an epsilon: below 1e-6.
        reliability_case("scikit-learn test_calibration_curve", [0, .1, .2, .8, .9, 1], [0, 0, 0, 1, 1, 1], 2,
                         agreeing=("netcal", "scikit-learn"),
                         note="torchmetrics gives 1.0 a bin of its own (its issue 3510)"),
        reliability_case("scikit-learn, uniform, 3 bins", [.1, .2, .3, .4, .65, .7, .8, .9, 1],
                         [0, 0, 0, 0, 1, 1, 1, 1, 1], 3),
        reliability_case("scikit-learn PR 34261, weight 3 as repetition", [.25] * 4 + [.75] * 12,
                         [0, 0, 0, 1] + [1] * 12, 2),
        reliability_case("torchmetrics documentation", [.25, .25, .55, .75, .75], [0, 0, 1, 1, 1], 2,
                         quoted={"ece": .2900, "mce": .3167}),
        reliability_case("torchmetrics test_binary_with_zero_pred", [1, 1, 1, 1, 0], [0, 0, 1, 1, 1], 2,
                         quoted={"ece": .6}),
        reliability_case("torchmetrics corner case, 99 bins", [.9] * 5 + [.8, .8, .01, .33, .34, .99, .61],
                         [1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0], 99),
        # Where a package departs from the definition.
        reliability_case("torchmetrics wrong: a phantom bin at 1", [.95, 1.0], [1, 0], 10,
                         agreeing=("netcal", "scikit-learn"),
                         note="torchmetrics' issue 3510: .525, where both rows belong to (.9, 1]: .475"),
        reliability_case("netcal and torchmetrics: edges belong to the bin above", [.5, .375], [1, 0], 2,
                         agreeing=("scikit-learn",),
                         note="they close bins on the left; the definition (Guo et al.) on the right"),
    ]
    edges = [(j, bins) for bins in (10, 15, 100) for j in range(1, bins) if np.linspace(0, 1, bins + 1)[j] != j / bins]
    write("reliability", {"cases": cases, "linspace_differs_at": edges})


# --- Temperature -----------------------------------------------------------------------------------------------------


def exact_temperature(logits, labels):
    """The root of the likelihood's gradient in beta, by Brent's method to the last digits."""
    logits = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))

    def gradient(log_beta):
        p = scipy.special.softmax(np.exp(log_beta) * logits, axis=1)
        return np.mean(np.sum(p * logits, axis=1) - logits[rows, labels])

    return float(np.exp(-scipy.optimize.brentq(gradient, -6, 6, xtol=1e-15, rtol=1e-14)))


def mean_nll(logits, labels):
    return float(log_loss(labels, scipy.special.softmax(logits, axis=1), labels=np.arange(logits.shape[1])))


def temperature_case(name, logits, labels, **more):
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    temperature = exact_temperature(logits, labels)
    others = {"scikit-learn": 1 / float(_TemperatureScaling().fit(logits, labels).beta_)}
    np.testing.assert_allclose(others["scikit-learn"], temperature, rtol=1e-4)  # a minimum is flat
    return {
        "name": name, "classes": logits.shape[1], "logits": as_list(logits.ravel()), "labels": as_list(labels),
        "temperature": temperature, "nll_before": mean_nll(logits, labels),
        "nll_after": mean_nll(logits / temperature, labels), "others": others, **more,
    }


def sample_labels(random, logits):
    return np.array([random.choice(len(p), p=p) for p in scipy.special.softmax(logits, axis=1)])


def temperature():
    random = np.random.default_rng(20170807)
    cases = []
    for name, rows, classes, factor in [("overconfident", 200, 5, 3.0), ("underconfident", 200, 10, 0.4),
                                        ("two classes", 120, 2, 2.0)]:
        truth = random.normal(size=(rows, classes)) * 2
        cases.append(temperature_case(name, float32(np.round(truth * factor, 3)), sample_labels(random, truth)))
    # Ludwig's fixture (Apache-2.0, tests/ludwig/utils/test_calibration.py). Its own expectation of 19.1 for three
    # classes is an optimiser stopped early; the minimum is at 70.284.
    ludwig = np.array([
        [-3.596756, 6.728981, 6.3807454], [-16.818138, -3.5217745, -1.7786252], [-16.060827, 4.7207646, 3.5336719],
        [-4.784969, 5.062503, 3.515455], [-4.669478, 7.171067, 6.5137157], [-32.596764, -3.5582566, -5.2003713],
        [-4.4035864, 6.3911495, 4.7273974], [-4.2035627, 7.846533, 6.0476217], [-20.748848, -3.1521742, -4.873552],
        [-4.8901286, 4.726167, 3.208372]])
    labels = np.array([2, 0, 2, 1, 1, 2, 0, 1, 0, 1])
    binary = np.stack([np.zeros(10), ludwig[:, 1]], axis=1)
    cases.append(temperature_case("Ludwig, three classes", ludwig, labels, quoted={"temperature": 70.28433}))
    cases.append(temperature_case("Ludwig, class 1 against 0", binary, (labels == 1).astype(int),
                                  quoted={"temperature": 8.46099391}))
    write("temperature", {"cases": cases})


# --- Platt -----------------------------------------------------------------------------------------------------------


def exact_platt(scores, positive):
    """Minimiser of the smoothed cross-entropy, from scikit-learn's start but to full precision."""
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    plus, minus = positive.sum(), (~positive).sum()
    target = np.where(positive, (plus + 1) / (plus + 2), 1 / (minus + 2))
    scale = max(1.0, np.abs(scores).max())

    def derivatives(parameters):
        p = scipy.special.expit(-(parameters[0] * scores / scale + parameters[1]))
        residual, weight = target - p, p * (1 - p)
        f = scores / scale
        gradient = np.array([np.sum(f * residual), np.sum(residual)])
        hessian = np.array([[np.sum(f * f * weight), np.sum(f * weight)], [np.sum(f * weight), np.sum(weight)]])
        return gradient, hessian

    start = np.array(_sigmoid_calibration(scores, positive))
    parameters = start * [scale, 1]
    for _ in range(50):
        gradient, hessian = derivatives(parameters)
        parameters = parameters - np.linalg.solve(hessian, gradient)
    assert np.abs(derivatives(parameters)[0]).max() < 1e-10
    slope, offset = float(parameters[0] / scale), float(parameters[1])
    np.testing.assert_allclose([slope, offset], start, rtol=2e-2, atol=2e-2)  # L-BFGS stops early
    return slope, offset, as_list(start)


def platt_case(name, scores, positive, **more):
    slope, offset, start = exact_platt(scores, positive)
    return {"name": name, "scores": as_list(scores), "positive": as_list(np.asarray(positive, dtype=int)),
            "slope": slope, "offset": offset, "others": {"scikit-learn": start}, **more}


def platt():
    random = np.random.default_rng(20170808)
    truth = random.normal(size=150) * 2
    positive = random.random(150) < scipy.special.expit(0.7 * truth - 0.5)
    cases = [
        platt_case("scikit-learn test_sigmoid_calibration", [5., -4., 1.], [1, 0, 0],
                   quoted={"libsvm": [-0.20261354391187855, 0.65236314980010512]}),
        platt_case("separable", [-2., -1., 1., 2.], [0, 0, 1, 1], quoted={"exact": [-0.6739963940, 0.0]}),
        platt_case("random", float32(np.round(truth * 3, 3)), positive),
        platt_case("huge scores", float32(np.round(truth * 1e4)), positive),
        platt_case("one positive row", [-1., 0., 1., 3.], [0, 0, 1, 0]),
    ]
    logits = random.normal(size=(150, 4)) * 2
    labels = sample_labels(random, logits / 2 + [0.5, 0, 0, -0.5])
    logits = float32(np.round(logits, 3))
    scores = scipy.special.log_softmax(logits, axis=1)
    parameters = [exact_platt(scores[:, k], labels == k)[:2] for k in range(4)]
    p = np.stack([scipy.special.expit(-(a * scores[:, k] + b)) for k, (a, b) in enumerate(parameters)], axis=1)
    p /= p.sum(axis=1, keepdims=True)
    write("platt", {"cases": cases, "one_vs_rest": {
        "classes": 4, "logits": as_list(logits.ravel()), "labels": as_list(labels),
        "slope": [a for a, _ in parameters], "offset": [b for _, b in parameters],
        "first_row": as_list(p[0]), "nll_after": float(log_loss(labels, p))}})


# --- Scores ----------------------------------------------------------------------------------------------------------


def scores():
    random = np.random.default_rng(20170809)
    cases = []
    for rows, classes in [(100, 2), (100, 10)]:
        logits = float32(np.round(random.normal(size=(rows, classes)) * 3, 3))
        labels = sample_labels(random, logits / 2)
        p = scipy.special.softmax(logits, axis=1)
        one_hot = np.eye(classes)[labels]
        # scikit-learn halves a two-class Brier score unless told otherwise; ours is the sum over classes.
        brier = brier_score_loss(labels, p, labels=np.arange(classes), scale_by_half=False)
        np.testing.assert_allclose(brier, np.mean(np.sum((p - one_hot) ** 2, axis=1)))
        cases.append({
            "classes": classes, "logits": as_list(logits.ravel()), "labels": as_list(labels),
            "nll": float(log_loss(labels, p, labels=np.arange(classes))), "brier": float(brier),
            "accuracy": float(np.mean(p.argmax(axis=1) == labels)), "mean_confidence": float(p.max(axis=1).mean()),
            "softmax_first_row": as_list(p[0]), "log_softmax_first_row": as_list(scipy.special.log_softmax(logits[0])),
        })
    write("scores", {"cases": cases})


if __name__ == "__main__":
    reliability()
    temperature()
    platt()
    scores()
    metric_oracles.write_all(write)
