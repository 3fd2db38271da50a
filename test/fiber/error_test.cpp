// weft::errc: the codes and the standard conditions that they answer to.
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include <weft/fiber/error.hpp>

namespace {

using weft::errc;

TEST(Error, the_codes_compare_equal_to_the_standard_conditions) {
  EXPECT_EQ(make_error_code(errc::timed_out), std::errc::timed_out);
  EXPECT_EQ(make_error_code(errc::cancelled), std::errc::operation_canceled);
  EXPECT_EQ(make_error_code(errc::closed), std::errc::bad_file_descriptor);
}

TEST(Error, the_codes_are_not_equal_to_each_others_conditions) {
  EXPECT_NE(make_error_code(errc::timed_out), std::errc::operation_canceled);
  EXPECT_NE(make_error_code(errc::cancelled), std::errc::bad_file_descriptor);
  EXPECT_NE(make_error_code(errc::closed), std::errc::timed_out);
}

TEST(Error, the_end_of_a_stream_has_no_standard_condition_but_its_own) {
  const std::error_code eof = errc::eof;

  EXPECT_EQ(eof, errc::eof);
  EXPECT_EQ(eof.default_error_condition().category(), weft::error_category());
  EXPECT_NE(eof, std::errc::io_error);
}

TEST(Error, every_code_is_an_error_with_the_category_weft_and_words_of_its_own) {
  EXPECT_STREQ(weft::error_category().name(), "weft");
  EXPECT_EQ(std::error_code(errc::eof).message(), "end of stream");
  EXPECT_EQ(std::error_code(errc::timed_out).message(), "timed out");
  EXPECT_EQ(std::error_code(errc::cancelled).message(), "cancelled");
  EXPECT_EQ(std::error_code(errc::closed).message(), "closed");
  for (const errc each : {errc::eof, errc::timed_out, errc::cancelled, errc::closed}) {
    EXPECT_TRUE(static_cast<bool>(std::error_code(each)));
  }
}

TEST(Error, a_value_that_is_no_code_says_so) {
  const std::error_code unknown{99, weft::error_category()};

  EXPECT_EQ(unknown.message(), "unknown weft error 99");
}

TEST(Error, errors_of_the_system_with_the_same_number_are_others) {
  EXPECT_NE(std::error_code(static_cast<int>(errc::eof), std::system_category()), errc::eof);
}

}  // namespace
