#include "server/ece_intervals.h"

namespace calserve {

void EceIntervals::Fill(WindowReport* report) {
  MutexLock lock(&mu_);
  FillSide({report->key, report->window, true}, &report->served);
  FillSide({report->key, report->window, false}, &report->uncalibrated);
}

void EceIntervals::FillSide(const Key& key, CalibrationMetrics* metrics) {
  Interval& kept = kept_[key];
  if (kept.n == 0 || kept.n != metrics->n || kept.ece != metrics->ece) {
    AddEceInterval(metrics);
    kept = {metrics->n, metrics->ece, metrics->ece_low, metrics->ece_high};
  }
  metrics->ece_low = kept.low;
  metrics->ece_high = kept.high;
}

}  // namespace calserve
