// The statistics of the comparison, against values from tables and against drawn samples.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "statistics.hpp"

namespace weft::compare {
namespace {

std::vector<double> one_to(int count) {
  std::vector<double> values;
  for (int i = 1; i <= count; ++i) values.push_back(i);
  return values;
}

TEST(CompareMedian, is_the_value_in_the_middle_whatever_the_order) {
  EXPECT_EQ(median(std::vector<double>{9, 1, 5}), 5);
}

TEST(CompareMedian, is_between_the_two_in_the_middle_of_an_even_number) {
  EXPECT_EQ(median(std::vector<double>{4, 1, 3, 100}), 3.5);
}

TEST(CompareMedian, of_one_value_is_that_value) { EXPECT_EQ(median(std::vector<double>{7}), 7); }

TEST(CompareMedian, of_no_value_is_zero) { EXPECT_EQ(median(std::vector<double>{}), 0); }

// Values as in any table of intervals for the median by the sign test.
TEST(CompareConfidence, of_ranks_is_as_in_the_tables) {
  EXPECT_NEAR(confidence_of_rank(5, 1), 0.9375, 1e-9);
  EXPECT_NEAR(confidence_of_rank(6, 1), 0.96875, 1e-9);
  EXPECT_NEAR(confidence_of_rank(10, 2), 0.978515625, 1e-9);
  EXPECT_NEAR(confidence_of_rank(20, 6), 0.958610, 1e-6);
  EXPECT_NEAR(confidence_of_rank(20, 7), 0.884682, 1e-6);
}

TEST(CompareConfidence, stays_a_number_for_many_values) {
  EXPECT_NEAR(confidence_of_rank(100'000, 49'690), 0.95, 0.01);
}

TEST(CompareEstimate, takes_the_narrowest_interval_of_95_percent) {
  const estimate of_20 = estimate_median(one_to(20));

  EXPECT_EQ(of_20.median, 10.5);
  EXPECT_EQ(of_20.low, 6);
  EXPECT_EQ(of_20.high, 15);
  EXPECT_GE(of_20.confidence, wanted_confidence);
  EXPECT_EQ(of_20.count, 20U);
}

TEST(CompareEstimate, does_not_move_for_an_outlier) {
  std::vector<double> values = one_to(20);
  values.back() = 1e9;

  const estimate with_outlier = estimate_median(values);

  EXPECT_EQ(with_outlier.low, 6);
  EXPECT_EQ(with_outlier.high, 15);
}

TEST(CompareEstimate, of_few_values_is_their_range_and_says_how_little_that_is) {
  const estimate of_3 = estimate_median(std::vector<double>{3, 1, 2});

  EXPECT_EQ(of_3.low, 1);
  EXPECT_EQ(of_3.high, 3);
  EXPECT_NEAR(of_3.confidence, 0.75, 1e-9);
}

TEST(CompareEstimate, has_its_confidence_from_enough_values_on) {
  EXPECT_LT(estimate_median(one_to(enough_values - 1)).confidence, wanted_confidence);
  EXPECT_GE(estimate_median(one_to(enough_values)).confidence, wanted_confidence);
}

TEST(CompareEstimate, of_one_value_claims_nothing) {
  const estimate of_1 = estimate_median(std::vector<double>{1});

  EXPECT_EQ(of_1.confidence, 0);
  EXPECT_FALSE(of_1.may_be(1));
}

TEST(CompareEstimate, may_be_any_value_of_its_interval) {
  const estimate of_20 = estimate_median(one_to(20));

  EXPECT_TRUE(of_20.may_be(6));
  EXPECT_TRUE(of_20.may_be(12));
  EXPECT_FALSE(of_20.may_be(5.9));
  EXPECT_FALSE(of_20.may_be(15.1));
}

// The promise itself: in 95 % of all experiments the interval holds the true median, here of a
// distribution with a long tail. The seed is fixed, so that the outcome is too.
TEST(CompareEstimate, holds_the_true_median_as_often_as_it_says) {
  std::mt19937_64 random{20'240'501};
  std::exponential_distribution<double> distribution{1};
  const double true_median = std::log(2.0);
  constexpr int experiments = 4000;
  int held = 0;

  for (int i = 0; i < experiments; ++i) {
    std::vector<double> values(20);
    std::generate(values.begin(), values.end(), [&] { return distribution(random); });
    if (estimate_median(values).may_be(true_median)) ++held;
  }

  EXPECT_GE(held, experiments * 0.945);
  EXPECT_LE(held, experiments * 0.975);
}

}  // namespace
}  // namespace weft::compare
