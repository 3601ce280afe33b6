#include "client/cli/window_extras_text.h"

#include <gtest/gtest.h>

namespace calserve::cli {
namespace {

TEST(WindowExtrasTextTest, SaysNothingOfWhatIsNotThere) {
  EXPECT_EQ(WindowExtrasLines(client::WindowReport()), "");
}

TEST(WindowExtrasTextTest, HasALineForEachThresholdAndOneForTheWeighted) {
  client::WindowReport report;
  report.set_coverage.push_back({{ConformalScore::kAps, 0.05, 0.97}, 3000, {0.9621, 0.9547, 0.9684}, 1.524});
  report.weighted =
      WeightedEstimates{512, 10'000, 140.2, {0.871, 0.84, 0.902}, {0.02, -0.004, 0.044}, 0.031, 0.05};
  EXPECT_EQ(WindowExtrasLines(report),
            "sets APS at alpha 0.05: 96.2 % (95.5 to 96.8) of 3000 hold the label, 1.52 classes in the mean\n"
            "all predictions, from 512 labels with an inclusion probability (as good as 140.2): accuracy "
            "0.871 (0.840 to "
            "0.902), confidence gap 0.020 (-0.004 to 0.044), ECE 0.031\n");
}

}  // namespace
}  // namespace calserve::cli
