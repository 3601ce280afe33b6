#ifndef CALSERVE_SERVER_RPC_REPORT_MASK_H_
#define CALSERVE_SERVER_RPC_REPORT_MASK_H_

#include "absl/status/statusor.h"
#include "calserve/v1/calibration.pb.h"
#include "google/protobuf/field_mask.pb.h"
#include "server/monitoring/calibration_monitor.h"

namespace calserve {

// Which fields of a WindowReport a caller wants: WatchCalibrationRequest.report_mask. An immutable value.
class ReportMask final {
 public:
  // INVALID_ARGUMENT for a path that there is not, listing what there is in its place, and for more than 100
  // paths.
  static absl::StatusOr<ReportMask> FromProto(const google::protobuf::FieldMask& mask);

  // Whether it names fields at all: then only those, and what always comes.
  bool names_fields() const { return mask_.paths_size() > 0; }
  // Fills in the ECE's intervals that it names.
  void AddIntervals(WindowReport& report) const;
  void Trim(v1::WindowReport& report) const;

 private:
  google::protobuf::FieldMask mask_;  // with what always comes; empty: everything
  bool served_interval_ = false, uncalibrated_interval_ = false;
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_REPORT_MASK_H_
