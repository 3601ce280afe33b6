#ifndef CALSERVE_CLIENT_CLI_WINDOW_EXTRAS_TEXT_H_
#define CALSERVE_CLIENT_CLI_WINDOW_EXTRAS_TEXT_H_

#include <string>

#include "client/types.h"

namespace calserve::cli {

// What a report says of prediction sets and of labels with an inclusion probability, a line each; empty where
// it says nothing of them.
//   "sets THR at alpha 0.1: 91.2 % (90.1 to 92.3) of 3000 hold the label, 1.31 classes in the mean"
//   "all predictions, from 512 labels with an inclusion probability (as good as 140.2): accuracy 0.871 (0.840
//   to 0.902), confidence gap 0.020 (-0.004 to 0.044), ECE 0.031"
std::string WindowExtrasLines(const client::WindowReport& report);

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_WINDOW_EXTRAS_TEXT_H_
