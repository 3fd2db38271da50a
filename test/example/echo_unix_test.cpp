// The socket file of the servers on a UNIX socket: which one is replaced, which one is respected,
// and which paths are none.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "line_servers.hpp"

namespace weft::test {
namespace {

class EchoUnixTest : public LineServer {
protected:
  const std::string path = folder.path("socket");

  // Expects that the server refuses to listen at `where`: code 1 and one line with all of `words`.
  void expect_failure(const std::string& where, const std::vector<std::string>& words) const {
    expect_refused(process::run(command({"--path", where})), words, 1);
  }
};

INSTANTIATE_TEST_SUITE_P(Servers, EchoUnixTest, testing::ValuesIn(echo_server_names()), test_name);

TEST_P(EchoUnixTest, replaces_a_file_that_a_killed_server_has_left) {
  {
    running killed = start();
    killed.program.signal(SIGKILL);
    EXPECT_EQ(killed.program.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(std::filesystem::is_socket(path));

  const running server = start();

  server.expect_service();
}

TEST_P(EchoUnixTest, refuses_a_file_behind_which_a_server_listens) {
  const running server = start();

  expect_failure(path, {GetParam() + ": ", "unix:" + path, "in use"});

  server.expect_service();
}

TEST_P(EchoUnixTest, leaves_a_file_alone_that_is_no_socket) {
  std::ofstream{path} << "precious";

  expect_failure(path, {"unix:" + path, "in use"});

  std::string text;
  std::ifstream{path} >> text;
  EXPECT_EQ(text, "precious");
}

TEST_P(EchoUnixTest, names_the_path_where_there_is_no_folder) {
  expect_failure(folder.path("missing/socket"), {"missing/socket", "No such file"});
}

TEST_P(EchoUnixTest, removes_no_file_that_another_has_put_in_place_of_its_own) {
  running server = start();
  std::filesystem::rename(path, path + ".moved");
  std::ofstream{path} << "another's";

  server.program.signal(SIGTERM);

  EXPECT_EQ(server.program.wait(), 0);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST_P(EchoUnixTest, refuses_a_path_that_is_none) {
  for (const std::string& none : {std::string{}, std::string{"@name"}, std::string(108, 'x')}) {
    SCOPED_TRACE(none);
    expect_refused(process::run(command({"--path", none})), {"--path", "107"});
  }
}

TEST_P(EchoUnixTest, listens_at_the_longest_path_there_is) {
  const std::string start_of_path = folder.path("");
  const std::string longest = start_of_path + std::string(107 - start_of_path.size(), 'x');
  const running server{command({"--path", longest}), longest};

  server.expect_service();
}

}  // namespace
}  // namespace weft::test
