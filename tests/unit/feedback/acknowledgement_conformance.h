#ifndef CALSERVE_TESTS_UNIT_FEEDBACK_ACKNOWLEDGEMENT_CONFORMANCE_H_
#define CALSERVE_TESTS_UNIT_FEEDBACK_ACKNOWLEDGEMENT_CONFORMANCE_H_

#include "tests/unit/feedback/conformance_fixture.h"

// Of the conformance suite (store_conformance.h): acknowledgements of alarms.
namespace calserve {

TEST_P(StoreConformanceTest, AcknowledgementsAreListedFromAPositionOnInItsOrder) {
  EXPECT_THAT(*store_->ListAcknowledgements(0), IsEmpty());
  const Acknowledgement late{"m", 1, 2, 30, kStart}, early{"m'; --", 1, 2, 10, kStart + absl::Seconds(1)},
      between{"m", 2, 0, 20, kStart};
  for (const Acknowledgement& each : {late, early, between})
    ASSERT_TRUE(store_->AddAcknowledgement(each).ok());
  EXPECT_THAT(*store_->ListAcknowledgements(0), ElementsAre(early, between, late));
  EXPECT_THAT(*store_->ListAcknowledgements(20), ElementsAre(between, late));
  EXPECT_THAT(*store_->ListAcknowledgements(31), IsEmpty());
}

TEST_P(StoreConformanceTest, AnAcknowledgementThatIsThereStays) {
  const Acknowledgement first{"m", 1, 2, 30, kStart};
  Acknowledgement again = first;
  again.time += absl::Hours(1);
  ASSERT_TRUE(store_->AddAcknowledgement(first).ok());
  ASSERT_TRUE(store_->AddAcknowledgement(again).ok());
  EXPECT_THAT(*store_->ListAcknowledgements(0), ElementsAre(first));
}

TEST_P(StoreConformanceTest, AcknowledgementsOfSlicesStandApart) {
  const Acknowledgement whole{"m", 1, 2, 30, kStart}, north{"m", 1, 2, 30, kStart, "camera", "north"},
      south{"m", 1, 2, 30, kStart, "camera", "south'; --"}, before{"m", 1, 2, 10, kStart, "site", ""};
  for (const Acknowledgement& each : {south, whole, north, before, north})
    ASSERT_TRUE(store_->AddAcknowledgement(each).ok());
  EXPECT_THAT(*store_->ListAcknowledgements(0), ElementsAre(before, whole, north, south));
  EXPECT_THAT(*store_->ListAcknowledgements(20), ElementsAre(whole, north, south));
}

TEST_P(StoreConformanceTest, AcknowledgementsLast) {
  if (!GetParam().durable) GTEST_SKIP() << "this store does not last";
  const Acknowledgement acknowledgement{"m", 1, 2, 30, kStart + absl::Microseconds(7)};
  ASSERT_TRUE(store_->AddAcknowledgement(acknowledgement).ok());
  Reopen();
  EXPECT_THAT(*store_->ListAcknowledgements(30), ElementsAre(acknowledgement));
}

}  // namespace calserve

#endif  // CALSERVE_TESTS_UNIT_FEEDBACK_ACKNOWLEDGEMENT_CONFORMANCE_H_
