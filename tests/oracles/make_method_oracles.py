#!/usr/bin/env python3
"""Writes methods.json: what each calibration method must find, computed by other packages and by SciPy.

Where a package stops before the optimum, works in float32, or differs on purpose, its own values stand under "others"
and the exact ones are SciPy's; docs/calibration.md says where and why. Run as make_oracles.py is.
"""

import warnings

import betacal
import calibration.utils as uncertainty_calibration
import netcal.binning
import numpy as np
import scipy.optimize
import scipy.special
from importlib.metadata import version
from probmetrics.calibrators import SVSCalibrator
from sklearn.isotonic import IsotonicRegression

from make_oracles import VERSIONS, as_list, exact_platt, exact_temperature, sample_labels, write

VERSIONS.update({name: version(name) for name in ("betacal", "uncertainty-calibration", "probmetrics")})
BINS = 15


def row_nll(p, labels):
    return float(-np.mean(np.log(p[np.arange(len(labels)), labels])))


def top_log_odds(logits):
    """log p - log(1 - p) of the largest logit's class, without cancellation."""
    top = logits.argmax(axis=1)
    others = np.where(np.arange(logits.shape[1]) == top[:, None], -np.inf, logits)
    return logits.max(axis=1) - scipy.special.logsumexp(others, axis=1), top


def class_log_odds(logits):
    columns = []
    for k in range(logits.shape[1]):
        columns.append(logits[:, k] - scipy.special.logsumexp(np.delete(logits, k, axis=1), axis=1))
    return np.stack(columns, axis=1)


def spread(confidence, logits):
    """The top class gets the confidence (but stays the top), the others share the rest as before."""
    p = np.zeros_like(logits)
    for i, row in enumerate(logits):
        top = row.argmax()
        others = scipy.special.softmax(np.delete(row, top))
        c = max(confidence[i], others.max() / (1 + others.max()))
        p[i] = np.insert(others * (1 - c), top, c)
    return p


def grid(values):
    """Multiples of 1/256: exact in float32, and short in decimal."""
    return np.round(np.asarray(values) * 256) / 256


DATA = {}


def case(name, logits, labels, p, **more):
    data = {"classes": logits.shape[1], "logits": as_list(logits.ravel()), "labels": as_list(labels)}
    assert DATA.setdefault(name, data) == data, name
    return {"data": name, "first_row": as_list(p[0]), "nll_after": row_nll(p, labels), **more}


# --- Temperatures ----------------------------------------------------------------------------------------------------


def refine(gradient, start):
    """The root of a gradient, from a minimiser's answer to the last digits."""
    found = scipy.optimize.root(gradient, start, method="hybr", options={"xtol": 1e-14})
    assert np.abs(gradient(found.x)).max() < 1e-9, found
    return found.x


def adaptive_temperature(name, logits, labels):
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    c = scipy.special.softmax(logits, axis=1).max(axis=1)
    features = np.stack([np.ones_like(c), c, c * c], axis=1)

    def probabilities(theta):
        return scipy.special.softmax(np.exp(features @ theta)[:, None] * shifted, axis=1)

    def gradient(theta):
        p, beta = probabilities(theta), np.exp(features @ theta)
        slope = beta * (np.sum(p * shifted, axis=1) - shifted[rows, labels])
        return features.T @ slope / len(labels)

    start = np.array([-np.log(exact_temperature(logits, labels)), 0, 0])
    found = scipy.optimize.minimize(lambda theta: row_nll(probabilities(theta), labels), start, jac=gradient,
                                    method="BFGS", options={"gtol": 1e-8})
    theta = refine(gradient, found.x)
    assert np.abs(features @ theta).max() < np.log(100), theta
    return case(name, logits, labels, probabilities(theta), coefficients=as_list(theta))


def ensemble_temperature(name, logits, labels):
    temperature = exact_temperature(logits, labels)
    rows = np.arange(len(labels))
    parts = [scipy.special.softmax(logits / temperature, axis=1), scipy.special.softmax(logits, axis=1),
             np.full(logits.shape, 1 / logits.shape[1])]
    q = np.stack([part[rows, labels] for part in parts], axis=1)
    found = scipy.optimize.minimize(
        lambda w: -np.mean(np.log(q @ w)), [1, 0, 0], jac=lambda w: -np.mean(q / (q @ w)[:, None], axis=0),
        method="SLSQP", bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-16, "maxiter": 1000})
    weights = np.clip(found.x, 0, 1) / np.clip(found.x, 0, 1).sum()
    gap = (q / (q @ weights)[:, None]).mean(axis=0).max() - 1  # how far above the minimum, by convexity
    assert gap < 1e-7, gap
    p = sum(w * part for w, part in zip(weights, parts))
    return case(name, logits, labels, p, temperature=temperature, weights=as_list(weights))


# --- Beta ------------------------------------------------------------------------------------------------------------


def exact_beta(scores, labels):
    """Maximum likelihood over a, b >= 0: the unconstrained one, or the likelier of those on the axes."""
    ln_s, minus_ln_rest = -np.logaddexp(0, -scores), np.logaddexp(0, scores)

    def fit(columns):
        x = np.stack([*columns, np.ones_like(scores)], axis=1)

        def loss(theta):
            t = x @ theta
            return np.mean(np.logaddexp(0, t) - labels * t)

        def gradient(theta):
            return x.T @ (scipy.special.expit(x @ theta) - labels) / len(labels)

        found = scipy.optimize.minimize(loss, np.zeros(x.shape[1]), jac=gradient, method="BFGS")
        theta = refine(gradient, found.x)
        return theta, loss(theta)

    theta, _ = fit([ln_s, minus_ln_rest])
    if theta[0] >= 0 and theta[1] >= 0:
        return theta
    candidates = [(np.array([0, 0, t[0]]), loss) for t, loss in [fit([])]]
    if theta[0] < 0:
        t, loss = fit([minus_ln_rest])
        candidates += [(np.array([0, t[0], t[1]]), loss)] if t[0] >= 0 else []
    if theta[1] < 0:
        t, loss = fit([ln_s])
        candidates += [(np.array([t[0], 0, t[1]]), loss)] if t[0] >= 0 else []
    return min(candidates, key=lambda candidate: candidate[1])[0]


def beta(name, scores, labels, agrees=True):
    a, b, c = exact_beta(scores, labels)
    t = b * np.logaddexp(0, scores) - a * np.logaddexp(0, -scores) + c
    p = np.stack([scipy.special.expit(-t), scipy.special.expit(t)], axis=1)
    package = betacal.BetaCalibration("abm").fit(scipy.special.expit(scores), labels)
    others = package.calibrator_.map_[:2]
    difference = np.abs(package.predict(scipy.special.expit(scores)) - p[:, 1]).max()
    assert (difference < 2e-3) == agrees, (name, others, (a, b), difference)
    return case(name, np.stack([np.zeros_like(scores), scores], axis=1), labels, p, a=a, b=b, c=c,
                others={"betacal": as_list(others), "largest_difference": float(difference)})


def betas():
    random = np.random.default_rng(20170811)
    scores = grid(random.normal(size=300) * 2)
    labels = (random.random(300) < scipy.special.expit(0.6 * scores + 0.3)).astype(int)
    bent = (random.random(300) < scipy.special.expit(1.5 * np.logaddexp(0, scores) + 0.6 * np.logaddexp(0, -scores) - 2)).astype(int)
    falling = (random.random(300) < scipy.special.expit(-1.2 * scores)).astype(int)
    return [beta("both coefficients", scores, labels), beta("one would be negative", scores, bent),
            beta("the score is worse than none", scores, falling, agrees=False)]


def beta_one_vs_rest(name, logits, labels):
    """Each class against the others by the maximum that betas() holds betacal to."""
    scores = class_log_odds(logits)
    columns, coefficients = [], []
    for k in range(logits.shape[1]):
        a, b, c = exact_beta(scores[:, k], (labels == k).astype(int))
        columns.append(scipy.special.expit(b * np.logaddexp(0, scores[:, k]) - a * np.logaddexp(0, -scores[:, k]) + c))
        coefficients.append((a, b, c))
    p = np.stack(columns, axis=1)
    a, b, c = (as_list(values) for values in zip(*coefficients))
    return case(name, logits, labels, p / p.sum(axis=1, keepdims=True), a=a, b=b, c=c)


# --- Vector scaling --------------------------------------------------------------------------------------------------


def vector_scaling(name, logits, labels):
    n, classes = logits.shape
    temperature = exact_temperature(logits, labels)
    tempered = scipy.special.softmax(logits / temperature, axis=1)
    x = np.log((1 - 1 / (n + 1)) * tempered + 1 / (n + 1) / classes)
    one_hot = np.eye(classes)[labels]

    def probabilities(theta):
        return scipy.special.softmax(x * (1 + theta[:classes]) + theta[classes:], axis=1)

    def loss(theta):
        return row_nll(probabilities(theta), labels) + classes / n * np.sum(theta**2)

    def gradient(theta):
        residual = (probabilities(theta) - one_hot) / n
        return np.concatenate([np.sum(residual * x, axis=0), residual.sum(axis=0)]) + 2 * classes / n * theta

    found = scipy.optimize.minimize(loss, np.zeros(2 * classes), jac=gradient, method="BFGS", options={"gtol": 1e-9})
    theta = refine(gradient, found.x)
    package = SVSCalibrator()
    package.fit(scipy.special.softmax(logits, axis=1), labels)
    others = np.concatenate([package.v_ - 1, package.b_])
    np.testing.assert_allclose(others, theta, atol=1e-2)  # probmetrics works in float32
    assert loss(others) - loss(theta) < 1e-5
    return case(name, logits, labels, probabilities(theta), scale=as_list(1 + theta[:classes]),
                offset=as_list(theta[classes:]), others={"probmetrics": as_list(others)})


# --- Isotonic --------------------------------------------------------------------------------------------------------


def sklearn_isotonic(scores, positive):
    n = len(scores)
    return IsotonicRegression(out_of_bounds="clip", y_min=1 / (n + 2), y_max=(n + 1) / (n + 2)).fit(scores, positive)


def isotonic(name, scores, labels, test_scores):
    fit = sklearn_isotonic(scores, labels)
    p1, test = fit.predict(scores), fit.predict(test_scores)
    return case(name, np.stack([np.zeros_like(scores), scores], axis=1), labels, np.stack([1 - p1, p1], axis=1),
                test_scores=as_list(test_scores), test=as_list(test))


def isotonic_one_vs_rest(name, logits, labels):
    scores = class_log_odds(logits)
    p = np.stack([sklearn_isotonic(scores[:, k], labels == k).predict(scores[:, k]) for k in range(logits.shape[1])],
                 axis=1)
    return case(name, logits, labels, p / p.sum(axis=1, keepdims=True))


def top_label_isotonic(name, logits, labels):
    scores, top = top_log_odds(logits)
    return case(name, logits, labels, spread(sklearn_isotonic(scores, top == labels).predict(scores), logits))


# --- Histograms ------------------------------------------------------------------------------------------------------


def histogram(name, logits, labels):
    n, classes = logits.shape
    p = scipy.special.softmax(logits, axis=1)
    edges = np.array([j / BINS for j in range(1, BINS)])
    # netcal closes bins on the left: no fitted probability may lie on an edge, so that both mean the same bins.
    assert not np.isin(p, edges).any()
    columns = []
    for k in range(1 if classes == 2 else 0, classes):
        package = netcal.binning.HistogramBinning(BINS)
        package.fit(p[:, k], (labels == k).astype(int))
        columns.append(np.clip(package.transform(p[:, k]), 1 / (n + 2), (n + 1) / (n + 2)))
    q = np.stack(columns, axis=1)
    q = np.concatenate([1 - q, q], axis=1) if classes == 2 else q / q.sum(axis=1, keepdims=True)
    return case(name, logits, labels, q)


def scaling_binning(name, logits, labels):
    scores, top = top_log_odds(logits)
    slope, offset, _ = exact_platt(scores, top == labels)
    scaled = scipy.special.expit(-(slope * scores + offset))
    bins = uncertainty_calibration.get_equal_bins(scaled, num_bins=BINS)
    discrete = uncertainty_calibration.get_discrete_calibrator(scaled, bins)
    return case(name, logits, labels, spread(discrete(scaled), logits), slope=slope, offset=offset,
                edges=as_list(bins[:-1]))


def methods():
    random = np.random.default_rng(20170810)
    truth = random.normal(size=(400, 4)) * 2
    labels = sample_labels(random, truth + [0.5, 0, 0, -0.5])
    logits = grid(truth * np.where(random.random(400) < 0.5, 3.0, 1.2)[:, None])
    binary = np.stack([np.zeros(400), logits[:, 1] - logits[:, 0]], axis=1)
    binary_labels = (random.random(400) < scipy.special.expit(0.5 * binary[:, 1] + 0.2)).astype(int)
    many = [("four classes", logits, labels), ("two classes", binary, binary_labels)]
    # Sure rows are overconfident, others are not: within the clamp of beta, which SciPy's model lacks.
    bent = grid(np.stack([np.zeros(600), random.normal(size=600) * 4], axis=1))
    sure = scipy.special.expit(np.abs(bent[:, 1]))
    bent_labels = (random.random(600) < scipy.special.expit(bent[:, 1] * np.exp(1 - 1.5 * sure))).astype(int)
    ties = np.round(binary[:, 1] / 4)  # many equal scores
    tests = np.linspace(-20, 20, 41)
    cases = {
        "adaptive_temperature": [adaptive_temperature(*many[0]),
                                 adaptive_temperature("two classes, sure too often", bent, bent_labels)],
        "ensemble_temperature": [ensemble_temperature(*one) for one in many],
        "beta": betas(),
        "beta_one_vs_rest": [beta_one_vs_rest(*one) for one in many],
        "vector_scaling": [vector_scaling(*one) for one in many],
        "isotonic": [isotonic("two classes", binary[:, 1], binary_labels, tests),
                     isotonic("many ties", ties, binary_labels, tests)],
        "isotonic_one_vs_rest": [isotonic_one_vs_rest(*one) for one in many],
        "top_label_isotonic": [top_label_isotonic(*one) for one in many],
        "histogram": [histogram(*one) for one in many],
        "scaling_binning": [scaling_binning(*one) for one in many],
    }
    write("methods", {"data": DATA, "cases": cases})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    methods()
