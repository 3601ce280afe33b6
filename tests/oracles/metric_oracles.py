"""The oracle values of calibration/metrics and calibration/conformal.h; make_oracles.py writes them.

A value under "agreeing" names the packages that give it to 1e-6; the rest is computed here from the definition, slowly
and by another road than the library's (pairs, integrals by quadrature, sums over images).
"""

import warnings

import calibration as uncertainty_calibration
import numpy as np
import relplot
import scipy.optimize
import scipy.special
import scipy.stats
import torch
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore
from mapie.metrics import calibration as mapie
from netcal.metrics import ECE
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

uc = uncertainty_calibration.utils
BINS = 15


def float32(values):
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def equal_mass_bins(confidence, bins):
    """Indices of the rows of each bin: parts of array_split whose ties go down to the lower part."""
    order = np.argsort(confidence, kind="stable")
    ends = np.cumsum([len(part) for part in np.array_split(order, min(bins, len(order)))])
    ordered = confidence[order]
    ends = sorted({int(np.searchsorted(ordered, ordered[end - 1], side="right")) for end in ends})
    return [order[a:b] for a, b in zip([0] + ends, ends)]


def binned_ece(confidence, correct, parts):
    return sum(abs(np.sum(correct[p]) - np.sum(confidence[p])) for p in parts) / len(confidence)


def sweep(confidence, correct):
    bins, value = 0, 0.0
    for candidate in range(1, len(confidence) + 1):
        parts = equal_mass_bins(confidence, candidate)
        accuracy = [float(np.mean(correct[p])) for p in parts]
        if any(b < a - 1e-12 for a, b in zip(accuracy, accuracy[1:])):
            break
        bins, value = candidate, binned_ece(confidence, correct, parts)
    return value, bins


def smooth_ece_at(confidence, correct, sigma):
    """The integral of |r| by quadrature between the zeros of r; K as a sum over mirror images."""
    residual = (correct - confidence) / len(confidence) / (sigma * np.sqrt(2 * np.pi))
    images = range(-int(np.ceil(5 * sigma)) - 1, int(np.ceil(5 * sigma)) + 2)

    def r(t):
        t = np.atleast_1d(t)[:, None]
        return sum(np.exp(-0.5 * ((t - 2 * j - s * confidence) / sigma) ** 2) for j in images for s in (1, -1)) @ residual

    grid = np.linspace(0, 1, 1001)
    values = r(grid)
    zeros = [scipy.optimize.brentq(lambda t: r(t)[0], a, b, xtol=1e-14) for a, b, u, v in
             zip(grid, grid[1:], values, values[1:]) if u * v < 0]
    cuts = sorted({0.0, 1.0, *zeros, *np.linspace(0, 1, 41)})
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return float(sum(abs(np.dot(weights, r((a + b) / 2 + (b - a) / 2 * nodes))) * (b - a) / 2
                     for a, b in zip(cuts, cuts[1:])))


def smooth_ece(confidence, correct):
    return float(scipy.optimize.brentq(lambda s: smooth_ece_at(confidence, correct, s) - s, 1e-3, 1, xtol=1e-12))


def delong(confidence, correct):
    """AUROC over all pairs, and its standard error."""
    right, wrong = confidence[correct == 1], confidence[correct == 0]
    wins = (right[:, None] > wrong[None, :]) + 0.5 * (right[:, None] == wrong[None, :])
    if min(wins.shape) < 2:
        return float(wins.mean()), None
    variance = np.var(wins.mean(axis=1), ddof=1) / len(right) + np.var(wins.mean(axis=0), ddof=1) / len(wrong)
    return float(wins.mean()), float(np.sqrt(variance))


def pair_statistic(confidence, correct, bins):
    """T of T-Cal as a sum over pairs of different rows of a bin."""
    index = np.searchsorted(np.arange(1, bins) / bins, confidence)
    u, total = correct - confidence, 0.0
    for b in range(bins):
        inside = u[index == b]
        if len(inside):
            pairs = np.outer(inside, inside)
            total += (pairs.sum() - np.trace(pairs)) / len(inside)
    return total / len(confidence)


def pair_p_value(confidence, correct, bins, draws=20_000):
    random = np.random.default_rng(1)
    index = np.searchsorted(np.arange(1, bins) / bins, confidence)
    count = np.bincount(index, minlength=bins)
    member = np.eye(bins)[index] / np.maximum(count, 1)
    observed = pair_statistic(confidence, correct, bins) * len(confidence)
    u = (random.random((draws, len(confidence))) < confidence) - confidence
    statistic = np.sum((u @ member) ** 2 * count, axis=1) - (u * u) @ member.sum(axis=1)
    return float(np.mean(statistic >= observed - 1e-9))


def brownian(confidence, correct):
    """KS and Kuiper statistics of the walk that begins at 0 and is looked at between different confidences."""
    order = np.argsort(confidence, kind="stable")
    c = confidence[order]
    walk = np.cumsum(correct[order] - c)[np.append(c[1:] != c[:-1], True)]
    walk = np.append(0, walk) / np.sqrt(np.sum(c * (1 - c)))
    return float(np.abs(walk).max()), float(walk.max() - walk.min())


def netcal_adaptive(confidence, correct):
    """netcal's equal mass takes quantiles of the samples as edges, and refuses ties."""
    try:
        return {"adaptive_ece": float(ECE(BINS, equal_intervals=False).measure(confidence, correct))}
    except ValueError:
        return {}


def top_label_case(name, confidence, correct):
    confidence, correct = float32(confidence), np.asarray(correct, dtype=int)
    data = list(zip(confidence, correct))
    width = uc.bin(data, uc.get_equal_prob_bins(confidence, BINS))
    ks, kuiper = brownian(confidence, correct)
    auroc, standard_error = delong(confidence, correct)
    swept, swept_bins = sweep(confidence, correct)
    test_bins = round(len(confidence) ** 0.4)
    spiegelhalter = mapie.spiegelhalter_statistic(correct, confidence)
    expected = {
        "adaptive_ece": binned_ece(confidence, correct, equal_mass_bins(confidence, BINS)),
        "rms": float(uc.plugin_ce(width, power=2)),
        "debiased_l2": float(uc.lower_bound_scaling_ce(confidence, correct, num_bins=BINS)),
        "ece_sweep": swept, "ece_sweep_bins": swept_bins,
        "smooth_ece": smooth_ece(confidence, correct), "smooth_ece_at_0.05": smooth_ece_at(confidence, correct, 0.05),
        "ks": ks, "ks_p": float(1 - mapie.kolmogorov_smirnov_cdf(ks)),
        "kuiper": kuiper, "kuiper_p": float(1 - mapie.kuiper_cdf(kuiper)),
        "spiegelhalter": spiegelhalter, "spiegelhalter_p": float(2 * scipy.stats.norm.sf(abs(spiegelhalter))),
        "auroc": auroc, "auroc_standard_error": standard_error,
        "debiased_test": pair_statistic(confidence, correct, test_bins), "debiased_test_bins": test_bins,
        "debiased_test_p": pair_p_value(confidence, correct, test_bins),
    }
    others = {
        "uncertainty-calibration": {"adaptive_ece": float(uc.get_ece_em(confidence, correct, num_bins=BINS))},
        "netcal": netcal_adaptive(confidence, correct),
        "torchmetrics": {"rms": binary_calibration_error(torch.tensor(confidence), torch.tensor(correct), n_bins=BINS,
                                                         norm="l2").item()},
        "relplot": {"smooth_ece": float(relplot.smECE(confidence, correct)),
                    "smooth_ece_at_0.05": float(relplot.smECE_sigma(confidence, correct, 0.05))},
        "MAPIE": {"ks": mapie.kolmogorov_smirnov_statistic(correct, confidence),
                  "ks_p": float(mapie.kolmogorov_smirnov_p_value(correct, confidence)),
                  "kuiper": mapie.kuiper_statistic(correct, confidence),
                  "kuiper_p": float(mapie.kuiper_p_value(correct, confidence)),
                  "spiegelhalter": spiegelhalter,
                  "spiegelhalter_p": float(mapie.spiegelhalter_p_value(correct, confidence))},
        "scikit-learn": {"auroc": float(roc_auc_score(correct, confidence))},
    }
    agreeing = {package: [key for key, value in values.items() if abs(value - expected[key]) <= 1e-6]
                for package, values in others.items()}
    return {"name": name, "confidence": confidence.tolist(), "correct": correct.tolist(), "expected": expected,
            "others": others, "agreeing": agreeing}


def top_label():
    random = np.random.default_rng(20260101)
    cases = []
    for rows, gap in [(400, 0.0), (900, 0.06), (150, -0.05)]:
        confidence = float32(1 - 0.8 * random.random(rows) ** 2)
        cases.append(top_label_case(f"{rows} rows, {gap} too sure", confidence,
                                    random.random(rows) < confidence - gap))
    tied = float32(np.round(1 - 0.5 * random.random(300), 1))
    cases.append(top_label_case("ties", tied, random.random(300) < tied - 0.1))
    certain = float32(np.where(random.random(300) < 0.5, 1, 1 - 0.3 * random.random(300)))
    cases.append(top_label_case("half of the confidences are 1", certain, random.random(300) < certain - 0.1))
    # At .05 the two atoms do not meet: smooth ECE is (|7 - 10| + |6 - 2.5|) / 20.
    cases.append(top_label_case("7 of 10 right at 1, 6 of 10 at .25", [1.0] * 10 + [.25] * 10,
                                [1] * 7 + [0] * 3 + [1] * 6 + [0] * 4))
    cases.append(top_label_case("relplot, by hand", [.1, .3, .5, .7, .9], [0, 0, 1, 1, 1]))
    cases.append(top_label_case("one sign: smooth ECE is the mean gap", [.6, .7, .8, .9, .95], [1, 0, 0, 0, 0]))
    return cases


class Identity(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose features are its probabilities."""

    def fit(self, x, y):
        self.classes_ = np.arange(x.shape[1])
        return self

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)


def brier_parts(p, one_hot):
    index = np.searchsorted(np.arange(1, BINS) / BINS, p)
    calibration = refinement = 0.0
    for k in range(p.shape[1]):
        for b in range(BINS):
            inside = index[:, k] == b
            if inside.any():
                frequency = one_hot[inside, k].mean()
                calibration += inside.mean() * (p[inside, k].mean() - frequency) ** 2
                refinement += inside.mean() * frequency * (1 - frequency)
    share = one_hot.mean(axis=0)
    return {"calibration": float(calibration), "refinement": float(refinement),
            "uncertainty": float(np.sum(share * (1 - share)))}


def thresholded_classwise(p, one_hot, threshold):
    errors = []
    for k in range(p.shape[1]):
        counted = p[:, k] >= threshold
        if counted.any():
            index = np.searchsorted(np.arange(1, BINS) / BINS, p[counted, k])
            gaps = np.bincount(index, one_hot[counted, k] - p[counted, k])
            errors.append(np.abs(gaps).sum() / counted.sum())
    return float(np.mean(errors))


def conformal(p, labels, fresh):
    """MAPIE's threshold and sets; of APS the scores without its uniform variables."""
    out = []
    estimator = Identity().fit(p, labels)
    down_to = np.cumsum(-np.sort(-p, axis=1), axis=1)
    rank = np.argsort(np.argsort(-p, axis=1), axis=1)[np.arange(len(labels)), labels]
    aps = down_to[np.arange(len(labels)), rank]
    if p.shape[1] > 2:  # MAPIE's own function has one column of truth for two classes
        theirs, _ = APSConformityScore().get_true_label_cumsum_proba(labels, p, np.arange(p.shape[1]))
        np.testing.assert_allclose(aps, theirs.ravel())
    for alpha in (0.05, 0.1, 0.3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            classifier = SplitConformalClassifier(estimator, confidence_level=1 - alpha, prefit=True,
                                                  conformity_score="lac").conformalize(p, labels)
            _, sets = classifier.predict_set(fresh)
        scores = 1 - p[np.arange(len(labels)), labels]
        level = np.ceil((len(labels) + 1) * (1 - alpha)) / len(labels)
        out.append({"alpha": alpha, "thr": float(np.quantile(scores, level, method="lower")),
                    "aps": float(np.quantile(aps, level, method="lower")),
                    "thr_sets": [np.flatnonzero(row).tolist() for row in sets[:, :, 0]]})
    return out


def many_classes():
    random = np.random.default_rng(20260102)
    cases = []
    for rows, classes in [(300, 2), (500, 4), (400, 10)]:
        logits = float32(np.round(random.normal(size=(rows, classes)) * 3, 3))
        p = scipy.special.softmax(logits, axis=1)
        labels = np.array([random.choice(classes, p=q) for q in scipy.special.softmax(logits / 2, axis=1)])
        one_hot = np.eye(classes)[labels]
        fresh = float32(np.round(random.normal(size=(50, classes)) * 3, 3))
        cases.append({
            "classes": classes, "logits": logits.ravel().tolist(), "labels": labels.tolist(),
            # uncertainty-calibration's own: the mean over classes of its ECE of equal width.
            "classwise_ece": float(uc.get_ece(p, labels, num_bins=BINS, mode="marginal")),
            "classwise_ece_thresholded": thresholded_classwise(p, one_hot, 0.01),
            "nll": float(log_loss(labels, p, labels=np.arange(classes))),
            "brier": float(brier_score_loss(labels, p, labels=np.arange(classes), scale_by_half=False)),
            "brier_parts": brier_parts(p, one_hot),
            "fresh": fresh.ravel().tolist(),
            "conformal": conformal(p, labels, scipy.special.softmax(fresh, axis=1)),
        })
    return cases


def tails():
    """P(max |B| > x) and P(range of B > x); MAPIE's series, which cancel beyond about 8."""
    return [{"x": x, "maximum": float(1 - mapie.kolmogorov_smirnov_cdf(x)), "range": float(1 - mapie.kuiper_cdf(x))}
            for x in (0.3, 0.5, 0.9, 1.2, 1.4999, 1.5, 1.5001, 1.8, 2.5, 3.5, 5.0)]


def write_all(write):
    write("metrics", {"top_label": top_label(), "many_classes": many_classes(), "tails": tails()})
