// weft-compare with servers that are missing, that fail, or that give back wrong bytes.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "compare_runs.hpp"
#include "load_server.hpp"
#include "support/process.hpp"
#include "support/scratch_folder.hpp"
#include "support/tcp.hpp"

namespace weft::test {
namespace {

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

}  // namespace
}  // namespace weft::test
