#!/usr/bin/env python3
"""Our calibration methods and metrics beside the field's packages: the same rows, one thread each, in one run.

  python3 -m venv build/oracles-venv && build/oracles-venv/bin/pip install -r tests/oracles/requirements.txt
  build/oracles-venv/bin/python tests/benchmarks/calibration/field_benchmark.py --sizes 10000x10,10000x100,50000x1000

Two classes ("10000x2") have methods of their own. Every figure is of a process of its own, so that memory is
of that work alone; a package's import and the data are loaded before the clock starts, and one fit is run before it
where a package compiles or caches. Writes Markdown to standard output; progress goes to standard error.

Times are of the processor: with one thread and no waiting they are the elapsed time of a quiet machine.

A fit begins with logits: where a package takes probabilities, SciPy's softmax in float64 is part of its time. A fit's
time is of the fit alone: no cross-validation, no report. "NLL" is the mean negative log-likelihood of the rows
fitted to, by the package's own probabilities; where it is above ours by more than 1e-6, the package stopped short of
the minimum of the same objective, or works in float32, or has another objective.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[3]
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                     "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")}
BINS = 15
LIMIT = 150  # seconds for one worker


# --- The packages. Each takes (logits, labels) and returns fit(), and predict() for the probabilities of the true class.


def softmax(logits):
    import scipy.special
    return scipy.special.softmax(logits, axis=1)


def torch_fit(make):
    """A calibrator of probmetrics, given logits as tensors."""
    def package(logits, labels):
        import torch
        from probmetrics.distributions import CategoricalLogits
        torch.set_num_threads(1)
        x, y = torch.from_numpy(logits), torch.from_numpy(labels)
        calibrator = make()
        return (lambda: calibrator.fit_torch(CategoricalLogits(x), y),
                lambda: calibrator.predict_proba_torch(CategoricalLogits(x)).get_probs().numpy())
    return package


def sklearn_temperature(logits, labels):
    from sklearn.calibration import _TemperatureScaling
    model = _TemperatureScaling()
    return lambda: model.fit(logits, labels), lambda: softmax(logits.astype("f8") * model.beta_)


def probmetrics_temperature():
    from probmetrics.calibrators import TemperatureScalingCalibrator
    return TemperatureScalingCalibrator()


def guo_temperature():
    from probmetrics.calibrators import GuoTemperatureScalingCalibrator
    return GuoTemperatureScalingCalibrator()


def netcal_temperature(logits, labels):
    from netcal.scaling import TemperatureScaling
    model = TemperatureScaling()
    return (lambda: model.fit(softmax(logits.astype("f8")), labels),
            lambda: model.transform(softmax(logits.astype("f8"))))


def sklearn_platt(logits, labels):
    """One-vs-rest, as CalibratedClassifierCV does it: on the log-probabilities, each class by itself."""
    import numpy as np
    from sklearn.calibration import _SigmoidCalibration
    models = []

    def fit():
        scores = np.log(softmax(logits.astype("f8")))
        models[:] = [_SigmoidCalibration().fit(scores[:, k], labels == k) for k in range(scores.shape[1])]

    def predict():
        scores = np.log(softmax(logits.astype("f8")))
        p = np.stack([m.predict(scores[:, k]) for k, m in enumerate(models)], axis=1)
        return p / p.sum(axis=1, keepdims=True)
    return fit, predict


def svs():
    from probmetrics.calibrators import SVSCalibrator
    return SVSCalibrator()


def vector_scaling():
    from probmetrics.calibrators import VectorScalingCalibrator
    return VectorScalingCalibrator()


def ensemble():
    from probmetrics.calibrators import ETSCalibrator
    return ETSCalibrator(loss="ce")


def probability_fit(make):
    """A calibrator of probmetrics that takes probabilities as arrays."""
    def package(logits, labels):
        model = make()
        return (lambda: model.fit(softmax(logits.astype("f8")), labels),
                lambda: model.predict_proba(softmax(logits.astype("f8"))))
    return package


def sklearn_isotonic(logits, labels):
    import numpy as np
    from sklearn.isotonic import IsotonicRegression
    models = []

    def fit():
        p = softmax(logits.astype("f8"))
        models[:] = [IsotonicRegression(out_of_bounds="clip").fit(p[:, k], labels == k) for k in range(p.shape[1])]

    def predict():
        p = softmax(logits.astype("f8"))
        q = np.stack([m.predict(p[:, k]) for k, m in enumerate(models)], axis=1)
        return q / np.maximum(q.sum(axis=1, keepdims=True), 1e-300)
    return fit, predict


def sklearn_top_label_isotonic(logits, labels):
    from sklearn.isotonic import IsotonicRegression
    model = IsotonicRegression(out_of_bounds="clip")

    def fit():
        p = softmax(logits.astype("f8"))
        top = p.argmax(axis=1)
        model.fit(p.max(axis=1), top == labels)
    return fit, None


def netcal_fit(name, **options):
    def package(logits, labels):
        import netcal.binning
        model = getattr(netcal.binning, name)(**options)
        return (lambda: model.fit(softmax(logits.astype("f8")), labels),
                lambda: model.transform(softmax(logits.astype("f8"))))
    return package


def netcal_beta(logits, labels):
    import numpy as np
    from netcal.scaling import BetaCalibration
    p = softmax(logits.astype("f8"))[:, 1]
    model = BetaCalibration()

    def predict():
        q = model.transform(p)
        return np.stack([1 - q, q], axis=1)
    return lambda: model.fit(p, labels), predict


def betacal_beta(logits, labels):
    import numpy as np
    from betacal import BetaCalibration
    p = softmax(logits.astype("f8"))[:, 1]
    model = BetaCalibration()

    def predict():
        q = model.predict(p)
        return np.stack([1 - q, q], axis=1)
    return lambda: model.fit(p.reshape(-1, 1), labels), predict


def sklearn_binary_platt(logits, labels):
    import numpy as np
    from sklearn.calibration import _SigmoidCalibration
    score = (logits[:, 1] - logits[:, 0]).astype("f8")
    model = _SigmoidCalibration()

    def predict():
        q = model.predict(score)
        return np.stack([1 - q, q], axis=1)
    return lambda: model.fit(score, labels), predict


def sklearn_binary_isotonic(logits, labels):
    from sklearn.isotonic import IsotonicRegression
    score = (logits[:, 1] - logits[:, 0]).astype("f8")
    model = IsotonicRegression(out_of_bounds="clip")
    return lambda: model.fit(score, labels), None


def uc_scaling_binning(logits, labels):
    import calibration
    model = calibration.PlattBinnerTopCalibrator(num_calibration=len(labels), num_bins=BINS)
    return lambda: model.train_calibration(softmax(logits.astype("f8")), labels), None


FITS = {
    "temperature": {"scikit-learn": sklearn_temperature, "probmetrics": torch_fit(probmetrics_temperature),
                    "Guo et al. (in probmetrics)": torch_fit(guo_temperature), "netcal": netcal_temperature},
    "platt_one_vs_rest": {"scikit-learn": sklearn_platt},
    "ensemble_temperature": {"probmetrics (Zhang et al.)": probability_fit(ensemble)},
    "vector_scaling": {"probmetrics SVS": torch_fit(svs), "probmetrics, no ridge": torch_fit(vector_scaling)},
    "top_label_isotonic": {"scikit-learn": sklearn_top_label_isotonic},
    "isotonic_one_vs_rest": {"scikit-learn": sklearn_isotonic, "netcal": netcal_fit("IsotonicRegression")},
    "histogram": {"netcal": netcal_fit("HistogramBinning", bins=BINS)},
    "scaling_binning": {"uncertainty-calibration": uc_scaling_binning},
    "adaptive_temperature": {},
}
TWO_CLASSES = {
    "platt": {"scikit-learn": sklearn_binary_platt},
    "isotonic": {"scikit-learn": sklearn_binary_isotonic},
    "beta": {"betacal": betacal_beta, "netcal": netcal_beta},
}


# --- Metrics: each takes (probabilities, labels) and returns the computation.


def top_label(p, labels):
    import numpy as np
    return p.max(axis=1), (p.argmax(axis=1) == labels).astype(np.int64)


def torchmetrics_ece(p, labels):
    import torch
    from torchmetrics.functional.classification import binary_calibration_error
    torch.set_num_threads(1)
    c, y = (torch.from_numpy(a) for a in top_label(p, labels))
    return lambda: float(binary_calibration_error(c, y, n_bins=BINS, norm="l1"))


def netcal_ece(p, labels):
    from netcal.metrics import ECE
    c, y = top_label(p, labels)
    return lambda: float(ECE(BINS).measure(c.astype("f8"), y))


def uc_l2(p, labels):
    import calibration
    c, y = top_label(p, labels)
    pairs = calibration.utils
    def run():
        binned = pairs.bin(list(zip(c.tolist(), y.tolist())), pairs.get_equal_bins(c, num_bins=BINS))
        return float(pairs.unbiased_l2_ce(binned))
    return run


def uc_adaptive(p, labels):
    import calibration
    c, y = top_label(p, labels)
    pairs = calibration.utils
    def run():
        binned = pairs.bin(list(zip(c.tolist(), y.tolist())), pairs.get_equal_bins(c, num_bins=BINS))
        return float(pairs.plugin_ce(binned, power=1))
    return run


def relplot_smooth(p, labels):
    import relplot
    c, y = top_label(p, labels)
    return lambda: float(relplot.smECE(c.astype("f8"), y))


def sklearn_auroc(p, labels):
    from sklearn.metrics import roc_auc_score
    c, y = top_label(p, labels)
    return lambda: float(roc_auc_score(y, c))


def sklearn_nll(p, labels):
    import numpy as np
    from sklearn.metrics import log_loss
    classes = np.arange(p.shape[1])
    return lambda: float(log_loss(labels, p, labels=classes))


def mapie_ks(p, labels):
    from mapie.metrics.calibration import kolmogorov_smirnov_statistic
    c, y = top_label(p, labels)
    return lambda: float(kolmogorov_smirnov_statistic(y, c.astype("f8")))


METRICS = {
    "ece": {"torchmetrics": torchmetrics_ece, "netcal": netcal_ece},
    "adaptive_ece": {"uncertainty-calibration": uc_adaptive},
    "debiased_l2": {"uncertainty-calibration": uc_l2},
    "smooth_ece": {"relplot": relplot_smooth},
    "auroc": {"scikit-learn": sklearn_auroc},
    "kolmogorov_smirnov": {"MAPIE": mapie_ks},
    "nll": {"scikit-learn": sklearn_nll},
    "classwise_ece": {},
}


# --- One figure of a package, in a process of its own.


def repeat(seconds, work):
    times = []
    while sum(times) < seconds or (len(times) < 3 and sum(times) < 3 * seconds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return times


def package_worker(kind, name, package, data, seconds):
    import numpy as np
    warnings.simplefilter("ignore")
    logits, labels = np.load(data / "logits.npy"), np.load(data / "labels.npy")
    kib = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if kind == "metric":
        run = METRICS[name][package](softmax(logits), labels)
        before = kib()
        run()  # what is compiled or cached the first time
        times = repeat(seconds, run)
        return {"seconds": times, "value": run(), "kib_before": before, "kib_peak": kib()}
    few = slice(0, 500)
    fit, _ = (FITS | TWO_CLASSES)[name][package](logits[few].copy(), labels[few].copy())
    fit()  # likewise
    fit, predict = (FITS | TWO_CLASSES)[name][package](logits, labels)
    before = kib()
    times = repeat(seconds, fit)
    peak = kib()
    nll = None
    if predict is not None:
        p = np.asarray(predict(), dtype=np.float64)[np.arange(len(labels)), labels]
        nll = float(-np.mean(np.log(np.maximum(p, np.exp(-100)))))
    return {"seconds": times, "nll": nll, "kib_before": before, "kib_peak": peak}


def run_worker(command):
    try:
        done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"failure": f"more than {LIMIT} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        return {"failure": lines[-1][:100]}
    return json.loads(done.stdout.splitlines()[-1])


# --- The run.


def make_data(rows, classes, folder):
    """Logits of a model that is overconfident by a temperature of 1.7, float32, and labels drawn for them."""
    import numpy as np
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, (rows, classes)).astype(np.float32)
    p = softmax(logits.astype(np.float64) / 1.7)
    labels = (p.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    folder.mkdir()
    np.save(folder / "logits.npy", logits)
    np.save(folder / "labels.npy", labels.astype(np.int64))


def median(times):
    ordered = sorted(times)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def milliseconds(result):
    if "failure" in result:
        return result["failure"]
    value = 1e3 * median(result["seconds"])
    return f"{value:,.3f}" if value < 10 else f"{value:,.0f}"


def memory(result):
    return "" if "failure" in result else f"{max(0, result['kib_peak'] - result['kib_before']) / 1024:,.0f}"


def compare(kind, name, packages, data, seconds, worker):
    """Rows of the table, ours first, and the factor to the fastest that reaches our NLL (or of all metrics)."""
    files = [str(data / "logits.npy"), str(data / "labels.npy")]
    ours = run_worker([worker, kind, name, *files, str(seconds)])
    results = {"calserve": ours}
    for package in packages:
        print(f"  {name}: {package}", file=sys.stderr)
        results[package] = run_worker([sys.executable, __file__, "--worker", kind, name, package, str(data), str(seconds)])
    factors = []
    lines = []
    for package, result in results.items():
        if kind == "fit":
            nll = result.get("nll")
            reached = "" if nll is None else f"{nll:.7f}"
            more = f" {result['apply_us']:.2f} |" if package == "calserve" and "apply_us" in result else " |"
        else:
            reached = f"{result['value']:.7f}" if "value" in result else ""
            more = ""
        factor = ""
        if package != "calserve" and "seconds" in result and "seconds" in ours:
            times = median(result["seconds"]) / median(ours["seconds"])
            factor = f"{times:,.1f}×"
            equal = kind == "metric" or result.get("nll") is None or result["nll"] <= ours["nll"] + 1e-6
            if equal:
                factors.append(times)
            else:
                factor += " (short of our NLL)"
        lines.append(f"| {name} | {package} | {milliseconds(result)} | {factor} | {reached} | {memory(result)} |{more}")
    return lines, (min(factors) if factors else None), ours


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build/release"), help="where field_worker was built")
    parser.add_argument("--sizes", default="10000x10,10000x100,50000x1000")
    parser.add_argument("--seconds", type=float, default=1, help="about so long a figure")
    parser.add_argument("--only", default="", help="comma-separated names of methods and metrics")
    parser.add_argument("--skip-metrics", action="store_true")
    options = parser.parse_args()
    worker = str(pathlib.Path(options.build) / "tests/benchmarks/calibration/field_worker")
    os.environ.update(ONE_THREAD)
    only = set(filter(None, options.only.split(",")))
    wanted = lambda name: not only or name in only
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.sizes.split(","):
            rows, classes = map(int, size.split("x"))
            data = pathlib.Path(scratch) / size
            make_data(rows, classes, data)
            print(f"{size}:", file=sys.stderr)
            fits = TWO_CLASSES if classes == 2 else FITS
            print(f"\n### Fits, {rows:,} × {classes:,}\n\n| method | package | median, ms | to ours | NLL | memory, MiB "
                  "| apply, µs a row |\n|---|---|---|---|---|---|---|")
            factors, with_reports = {}, {}
            for name, packages in fits.items():
                if wanted(name):
                    lines, factors[name], ours = compare("fit", name, packages, data, options.seconds, worker)
                    with_reports[name] = 1e3 * median(ours["seconds_with_reports"]) if "seconds" in ours else None
                    print("\n".join(lines), flush=True)
            known = {name: factor for name, factor in factors.items() if factor}
            if known:
                slowest = min(known, key=known.get)
                print(f"\nTo the fastest package that reaches our NLL: median over methods {median(known.values()):.1f}×, "
                      f"least {known[slowest]:.1f}× ({slowest}). With checks and reports ours takes, in ms: "
                      + ", ".join(f"{name} {value:.1f}" for name, value in with_reports.items() if value) + ".", flush=True)
            if options.skip_metrics or classes == 2:
                continue
            print(f"\n### Metrics, {rows:,} × {classes:,}\n\n| metric | package | median, ms | to ours | value | memory, MiB |"
                  "\n|---|---|---|---|---|---|")
            for name, packages in METRICS.items():
                if wanted(name):
                    print("\n".join(compare("metric", name, packages, data, options.seconds, worker)[0]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        kind, name, package, data, seconds = sys.argv[2:]
        print(json.dumps(package_worker(kind, name, package, pathlib.Path(data), float(seconds))))
    else:
        main()
