#ifndef CALSERVE_CLIENT_CLI_ALARM_TEXT_H_
#define CALSERVE_CLIENT_CLI_ALARM_TEXT_H_

#include <string>

#include "client/types.h"

namespace calserve::cli {

const char* StateName(client::AlarmInfo::State state);
const char* DirectionName(GapDirection direction);

// "3.2", "1.4e+07".
std::string EValueText(double e_value);

// One line, without its end: what the labels say, since when, from where on.
//   "ALARM: overconfident since label 812 (2026-...), begun about label 640; e-value 412 of 329"
//   "no alarm: e-values 1.3 over, 0.2 under, of 329; 812 labels"
std::string AlarmLine(const client::AlarmInfo& alarm);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_ALARM_TEXT_H_
