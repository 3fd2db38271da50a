// The files that weft-compare writes: what is in their place before, where they go, and what keeps
// them from being written.
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compare_runs.hpp"
#include "support/process.hpp"
#include "support/scratch_folder.hpp"

namespace weft::test {
namespace {

// The report that a run finds in the place of its own.
class CompareReport : public testing::Test {
protected:
  CompareReport() { std::ofstream{file_} << "old"; }

  static std::string text_of(const fs::path& file) {
    std::ifstream stream{file};
    return {std::istreambuf_iterator<char>{stream}, {}};
  }

  static process_result run_in_shell(const std::string& json, const std::string& redirection) {
    std::string command = "exec ";
    for (const std::string& word : with_two_servers({"--cases", "2x64", "--json", json})) {
      command += word + " ";
    }
    return process::run({"/bin/sh", "-c", command + redirection});
  }

  // How many files there are; those of a run that goes on do not stay.
  std::ptrdiff_t files() const {
    return std::distance(fs::directory_iterator{folder_.path()}, fs::directory_iterator{});
  }

  const scratch_folder folder_;
  const fs::path file_ = folder_.path() / "result.json";
};

TEST_F(CompareReport, stays_when_the_run_is_killed) {
  process run{with_two_servers({"--cases", "2x64", "--json", file_}, "1000")};
  run.wait_for_line("1000 rounds");

  run.signal(SIGKILL);

  EXPECT_EQ(run.wait(), 128 + SIGKILL);
  EXPECT_EQ(text_of(file_), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(CompareReport, is_replaced_behind_a_link_and_keeps_its_permissions) {
  const fs::path link = folder_.path() / "link";
  fs::create_symlink(file_, link);
  fs::permissions(file_, fs::perms::owner_read | fs::perms::owner_write);

  const process_result run = process::run(with_two_servers({"--cases", "2x64", "--json", link}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_json(file_)["cells"].size(), 2U);
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(files(), 2);
}

TEST_F(CompareReport, that_cannot_be_written_costs_no_table) {
  const process_result run =
      process::run(with_two_servers({"--cases", "2x64", "--json", "/dev/full"}));

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "cannot write /dev/full: No space left on device");
  expect_line(run.out, "  callbacks  ");
}

TEST_F(CompareReport, in_markdown_goes_into_the_document_that_is_there) {
  std::ofstream{file_} << "# Results\n";

  const process_result run =
      process::run(with_two_servers({"--cases", "2x64", "--results", file_}));

  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(text_of(file_).starts_with("# Results\n\n<!-- weft-compare: begin -->\n"));
  expect_line(text_of(file_), "### 2 connections x 64 B");
}

TEST_F(CompareReport, goes_to_a_fifo_directly) {
  const std::string fifo = folder_.path("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  process reader{{"cat", fifo}};

  const process_result run = process::run(with_two_servers({"--cases", "2x64", "--json", fifo}));

  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(reader.wait(), 0);
  EXPECT_EQ(nlohmann::json::parse(reader.output(stream::out))["cells"].size(), 2U);
}

TEST_F(CompareReport, goes_to_the_file_of_stdout_beside_the_table) {
  const process_result run = run_in_shell("/dev/stdout", ">" + file_.string());

  EXPECT_EQ(run.exit_code, 0) << run.err;
  expect_line(text_of(file_), "  callbacks  ");
  expect_line(text_of(file_), "\"cells\"");
}

TEST_F(CompareReport, has_nothing_in_it_that_was_meant_for_a_closed_stdout) {
  const process_result run = run_in_shell(file_, "<&- >&-");

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "cannot write to stdout: Bad file descriptor");
  EXPECT_EQ(text_of(file_), "old");
}

}  // namespace
}  // namespace weft::test
