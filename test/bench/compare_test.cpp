// weft-compare as a process: tiny runs over real servers, and what it does with bad input, with
// servers that fail, and with Ctrl-C.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "load_server.hpp"
#include "support/process.hpp"
#include "support/scratch_folder.hpp"
#include "support/tcp.hpp"

namespace weft::test {
namespace {

namespace fs = std::filesystem;
using words = std::vector<std::string>;

const fs::path build{WEFT_BIN_DIR};

// A run short enough for a test.
words tiny(const fs::path& folder, const words& more, const char* rounds = "1",
           const char* warm_up_rounds = "0") {
  words command{
      folder / "weft-compare", "--rounds",    rounds, "--seconds", "0.2", "--warm-up", "0.05",
      "--warm-up-rounds",      warm_up_rounds};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

const words two_servers{"--only", "callbacks,threads"};

words with_two_servers(words more, const char* rounds = "1") {
  more.insert(more.end(), two_servers.begin(), two_servers.end());
  return tiny(build, more, rounds);
}

nlohmann::json read_json(const fs::path& file) {
  std::ifstream stream{file};
  return nlohmann::json::parse(stream);
}

void expect_line(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Compare, measures_every_case_on_every_server) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "4x64,4x64x2,churn-2,idle-4", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "4 connections x 64 B, 2 in flight");
  expect_line(run.out, "connect, one exchange, close: 2 at a time");
  expect_line(run.out, "4 idle connections");
  const nlohmann::json result = read_json(file);
  ASSERT_EQ(result["cells"].size(), 8U);
  for (const auto& cell : result["cells"]) EXPECT_TRUE(cell["failure"].is_null()) << cell;
}

TEST(Compare, finds_what_the_cases_are_about) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "4x64,idle-50", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  for (const auto& cell : result["cells"]) {
    if (cell["kind"] == "idle") {
      EXPECT_TRUE(cell["cpu_ns_per_request"].is_null());
      EXPECT_TRUE(cell["rss_bytes_per_connection"].is_number());
      EXPECT_TRUE(cell["kernel_bytes_per_connection"].is_number());
      continue;
    }
    EXPECT_GT(cell["cpu_ns_per_request"], 100);  // two system calls cost more on any machine
    EXPECT_GT(cell["requests_per_second"], 0);
    EXPECT_GE(cell["p99_us"], cell["p50_us"]);
  }
}

TEST(Compare, offers_a_share_of_what_the_callbacks_answered) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run = process::run(with_two_servers({"--cases", "4x64@10", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  const double capacity = result["capacities"]["4x64"];
  for (const auto& cell : result["cells"]) {
    EXPECT_NEAR(cell["offered_per_second"], capacity / 10, 1) << cell;
    EXPECT_LT(cell["requests_per_second"], capacity / 5) << cell;
  }
}

TEST(Compare, takes_samples_that_do_not_count_before_the_others) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run = process::run(
      tiny(build, {"--cases", "2x64", "--only", "callbacks", "--json", file}, "3", "2"));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const nlohmann::json result = read_json(file);
  EXPECT_EQ(result["warm_up_rounds"], 2);
  std::size_t used = 0;
  for (const auto& sample : result["samples"]) used += sample["used"] ? 1 : 0;
  EXPECT_EQ(used, 3U);
}

TEST(Compare, lists_what_it_can_measure) {
  const process_result run = process::run({build / "weft-compare", "--list", "--full"});

  EXPECT_EQ(run.exit_code, 0);
  expect_line(run.out, "  callbacks      a state machine on raw epoll");
  expect_line(run.out, "  64x64@95       64 connections x 64 B, at 95 % of capacity");
}

TEST(Compare, measures_the_cases_with_the_wanted_connections_alone) {
  const process_result run =
      process::run({build / "weft-compare", "--list", "--connections", "1000"});

  EXPECT_EQ(run.exit_code, 0);
  expect_line(run.out, "1000x64");
  EXPECT_EQ(run.out.find("64x64 "), std::string::npos) << run.out;
}

TEST(Compare, records_where_it_was_made) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";

  const process_result run =
      process::run(with_two_servers({"--cases", "2x64", "--seed", "7", "--json", file}));

  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "--seed 7");
  const nlohmann::json result = read_json(file);
  for (const char* field : {"date", "kernel", "cpu", "compiler", "build_type", "governor", "commit",
                            "mitigations", "flags"}) {
    EXPECT_FALSE(result["environment"][field].is_null()) << field;
  }
  EXPECT_EQ(result["settings"]["seed"], 7);
}

// Expects the end of a program that was called wrongly: code 2, one line that has `part`.
void expect_refused(const words& arguments, const std::string& part) {
  words command{build / "weft-compare"};
  command.insert(command.end(), arguments.begin(), arguments.end());

  const process_result run = process::run(command);

  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err.find('\n'), run.err.size() - 1) << run.err;
  expect_line(run.err, part);
}

TEST(CompareArguments, are_refused_in_one_line_that_says_what_is_accepted) {
  expect_refused({"--only", "magic"}, "accepted are threads");
  expect_refused({"--only", "threads,threads"}, "twice");
  expect_refused({"--cases", "many"}, "CONNECTIONSxBYTES");
  expect_refused({"--cases", "64x64,64x64"}, "twice");
  expect_refused({"--rounds", "0"}, "from 1 to");
  expect_refused({"--rounds", "-1"}, "from 1 to");
  expect_refused({"--seconds", "nan"}, "from 0.05 to");
  expect_refused({"--warm-up", "long"}, "from 0 to");
  expect_refused({"--seed", "x"}, "from 0 to");
  expect_refused({"--quick", "--full"}, "--full");
  expect_refused({"--fast"}, "--fast; accepted are --help, --quick, --full, --list, --cases");
  expect_refused({"--rounds", "010"}, "from 1 to 100000 in plain decimal");
  expect_refused({"--cases", ""}, "CONNECTIONSxBYTES");
  expect_refused({"--only", ""}, "accepted are threads");
  expect_refused({"--json", ""}, "'' is not accepted, expected the name of a file");
  expect_refused({"--out", ""}, "'' is not accepted, expected the name of a file");
  expect_refused({"--out", "x", "--json", "x"}, "'x' is the file of --json too");
  expect_refused({"--connections", "0"}, "from 1 to 1,000,000");
  expect_refused({"--connections", "65"}, "none of the cases has 65");
  expect_refused({"--cases", "64x64x2@80"}, "CONNECTIONSxBYTES@PERCENT");
}

TEST(CompareArguments, are_told_on_request) {
  const process_result run = process::run({build / "weft-compare", "--help"});

  EXPECT_EQ(run.exit_code, 0);
  for (const char* option : {"--quick", "--full", "--list", "--cases", "--connections", "--only",
                             "--rounds", "--json", "--out"}) {
    expect_line(run.out, option);
  }
}

TEST(CompareArguments, that_name_a_file_which_cannot_be_written_cost_no_run) {
  const process_result run =
      process::run(with_two_servers({"--json", "/nowhere/result.json"}, "1000"));

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "/nowhere/result.json");
}

TEST(Compare, skips_a_case_that_the_limit_of_open_files_does_not_allow) {
  std::string command = "ulimit -n 100 && exec";
  for (const std::string& word : with_two_servers({"--cases", "4x64,500x64"})) {
    command += " " + word;
  }

  const process_result run = process::run({"/bin/sh", "-c", command});

  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "4 connections x 64 B");
  expect_line(run.out, "500x64: skipped");
  expect_line(run.out, "is 100");
}

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

// A folder with weft-compare, weft-load and the server that works; more may be put beside them.
class CompareFaults : public testing::Test {
protected:
  CompareFaults() {
    // Copied, for the program looks for the others where it lies itself, not where a link to it is.
    fs::copy_file(build / "weft-compare", folder_.path() / "weft-compare");
    for (const char* name : {"weft-load", "compare-callbacks"}) {
      fs::create_symlink(build / name, folder_.path() / name);
    }
  }

  // Puts a script in the place of a server.
  void put_server(const std::string& name, const std::string& script) const {
    const fs::path path = folder_.path() / name;
    std::ofstream{path} << "#!/bin/sh\n" << script << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }

  // The same of one that says where the server is, and ends when it is told to.
  void put_address(const std::string& name, const std::string& address) const {
    put_server(name, "trap 'exit 0' TERM; echo 'listening on " + address +
                         "'; while :; do sleep 0.05; done");
  }

  process_result compare(const words& more) const {
    return process::run(tiny(folder_.path(), more));
  }

  const scratch_folder folder_;
};

TEST_F(CompareFaults, measures_the_others_when_a_server_is_missing) {
  const process_result run = compare({"--cases", "2x64", "--only", "callbacks,threads"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "there is no program compare-threads");
  expect_line(run.out, "threads: there is no program");
  expect_line(run.out, "  callbacks  ");
}

TEST_F(CompareFaults, names_the_package_that_a_missing_peer_needs) {
  const process_result run = compare({"--cases", "2x64", "--only", "callbacks,go"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, "go: there is no program echo-go");
  expect_line(run.out, "it needs golang-go, which `./dev run --peers` installs");
}

TEST_F(CompareFaults, takes_it_for_no_failure_that_a_peer_is_missing_which_nobody_has_asked_for) {
  for (const char* name : {"compare-threads", "echo-thread-pool", "compare-fibers",
                           "compare-coroutines", "echo-asio", "echo-boost-fiber"}) {
    if (!fs::exists(build / name)) GTEST_SKIP() << name << " is not built";
    fs::create_symlink(build / name, folder_.path() / name);
  }

  const process_result run = compare({"--cases", "2x64"});

  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
  expect_line(run.out, "go: there is no program echo-go");
}

TEST_F(CompareFaults, gives_the_servers_as_many_open_files_as_the_system_allows) {
  put_server("compare-threads", "echo \"files: $(ulimit -n)\" >&2; exit 1");
  std::string command = "ulimit -Sn 300 && ulimit -Hn 900 && exec";
  for (const std::string& word :
       tiny(folder_.path(), {"--cases", "2x64", "--only", "callbacks,threads"})) {
    command += " " + word;
  }

  const process_result run = process::run({"/bin/sh", "-c", command});

  expect_line(run.out, "files: 900");
}

TEST_F(CompareFaults, tells_why_tasks_could_not_be_measured) {
  put_server("tasks-threads", "echo 'tasks-threads: no thread after 7' >&2; exit 1");
  put_server("tasks-fibers", "echo 'not json'");

  const process_result run = compare({"--cases", "spawn-2", "--only", "threads,fibers"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, "tasks-threads ended with code 1: tasks-threads: no thread after 7");
  expect_line(run.out, "fibers: its report cannot be read");
}

TEST_F(CompareFaults, takes_no_further_sample_of_what_fails_while_it_warms_up) {
  put_server("compare-threads", "echo started >>" + folder_.path("starts") + "; exit 3");

  const process_result run = process::run(
      tiny(folder_.path(), {"--cases", "2x64", "--only", "callbacks,threads"}, "3", "3"));

  EXPECT_EQ(run.exit_code, 1);
  std::ifstream starts{folder_.path("starts")};
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>{starts}, {}, '\n'), 2);
  expect_line(run.out, "threads: compare-threads did not start");
}

TEST_F(CompareFaults, tells_why_a_server_does_not_start) {
  put_server("compare-threads", "echo 'out of luck' >&2; exit 3");

  const process_result run = compare({"--cases", "2x64", "--only", "callbacks,threads"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, "compare-threads did not start: out of luck");
  expect_line(run.out, "  callbacks  ");
}

TEST_F(CompareFaults, tells_that_a_server_does_not_answer) {
  put_server("compare-threads", "echo 'listening on 127.0.0.1:1'; exec sleep 60");

  const process_result run = compare({"--cases", "2x64", "--only", "threads"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, "threads: no exchange with 127.0.0.1:1");
}

// The load's first connection; one is made before it, to see that the server answers.
constexpr std::uint64_t first_of_load = 1;

TEST_F(CompareFaults, tells_of_a_server_that_changes_a_byte) {
  const load_server wrong{{.connection = first_of_load, .flip_at = 1'000}};
  put_address("compare-threads", wrong.address());

  const process_result run = compare({"--cases", "2x64", "--only", "callbacks,threads"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, "threads: 1 bytes came back wrong");
  expect_line(run.out, "  callbacks  ");
}

TEST_F(CompareFaults, tells_of_a_server_that_loses_a_byte) {
  const load_server wrong{{.connection = first_of_load, .swallow_at = 1'000}};
  put_address("compare-threads", wrong.address());

  const process_result run = compare({"--cases", "2x64", "--only", "callbacks,threads"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.out, " bytes came back wrong");  // all from there on
  expect_line(run.out, "  callbacks  ");
}

TEST_F(CompareFaults, refuses_to_run_without_the_load_generator) {
  fs::remove(folder_.path() / "weft-load");

  const process_result run = compare({"--cases", "2x64"});

  EXPECT_EQ(run.exit_code, 1);
  expect_line(run.err, "there is no program weft-load");
}

TEST_F(CompareFaults, obeys_ctrl_c_while_a_server_does_not_answer) {
  // The kernel completes the connection for a listener that never accepts it.
  const unique_fd listener = listen_tcp();
  const std::string address = "127.0.0.1:" + std::to_string(local_port(listener));
  put_server("compare-threads", "echo 'listening on " + address + "'; exec sleep 600");
  process run{tiny(folder_.path(), {"--cases", "2x64", "--only", "threads"}, "1000")};
  const unique_fd connection = accept_one(listener);

  run.signal(SIGINT);

  EXPECT_EQ(run.wait(), 130);
  expect_line(run.output(stream::out), "interrupted");
  // The signal ended the exchange itself: no sample failed for want of a reply.
  EXPECT_EQ(run.output(stream::out).find("no exchange"), std::string::npos);
}

// Returns the processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator{"/proc"}) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file{entry.path() / "stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t after_name = text.rfind(") ");  // the name itself may hold blanks
    if (after_name == std::string::npos) continue;
    if (std::stoi(text.substr(after_name + 4)) == parent) found.push_back(std::stoi(name));
  }
  return found;
}

TEST(CompareInterrupt, ends_all_processes_and_prints_what_there_is) {
  const scratch_folder folder;
  const fs::path file = folder.path() / "result.json";
  process run{with_two_servers({"--cases", "2x64", "--json", file}, "1000")};
  run.wait_for_line("1000 rounds");
  std::vector<pid_t> children;
  while (children.empty()) children = children_of(run.pid());

  run.signal(SIGINT);

  EXPECT_EQ(run.wait(), 130);
  expect_line(run.output(stream::out), "interrupted");
  EXPECT_TRUE(read_json(file)["interrupted"]);
  for (const pid_t child : children) EXPECT_NE(::kill(child, 0), 0) << child;
}

}  // namespace
}  // namespace weft::test
