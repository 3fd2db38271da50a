// The page of weft-compare in a browser, headless Chromium: all is drawn, no script fails, nothing
// is asked for from anywhere.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.hpp"
#include "support/scratch_folder.hpp"

namespace weft::test {
namespace {

namespace fs = std::filesystem;
using words = std::vector<std::string>;

std::string text_of(const fs::path& file) {
  std::ifstream stream{file};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part;
}

// What the page is asked once it stands there: which charts have drawn something.
constexpr const char* question = R"(<script>
addEventListener("load", () => {
  const blank = [...document.querySelectorAll("canvas")].filter((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return !pixels.some((value) => value !== 0);
  });
  document.documentElement.dataset.blank = String(blank.length);
  document.documentElement.dataset.canvases = String(document.querySelectorAll("canvas").length);
  document.documentElement.dataset.loaded = String(performance.getEntriesByType("resource").length);
});
</script></body>)";

// One page of a short run, looked at by all tests.
class ComparePage : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<scratch_folder>();
    const std::string program = WEFT_BIN_DIR "/weft-compare";
    const process_result run = process::run(
        {program, "--cases", "2x64,2x64@20,churn-2,idle-20,parked-100,spawn-10,chain-4,900000x64",
         "--only", "callbacks,fibers,coroutines,threads,thread-pool", "--rounds", "2", "--seconds",
         "0.1", "--warm-up", "0", "--warm-up-rounds", "0", "--out", page()});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
    std::string text = text_of(page());
    text.replace(text.rfind("</body>"), 7, question);
    std::ofstream{asked()} << text;
  }

  static void TearDownTestSuite() { folder.reset(); }

  static fs::path page() { return folder->path() / "page.html"; }

  static fs::path asked() { return folder->path() / "asked.html"; }

  // Opens the page, and returns what it has become.
  static std::string browse() {
    const words command{WEFT_CHROMIUM,
                        "--headless",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--disable-dev-shm-usage",
                        "--no-first-run",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--user-data-dir=" + folder->path("profile"),
                        "--host-resolver-rules=MAP * ~NOTFOUND",
                        "--virtual-time-budget=5000",
                        "--dump-dom",
                        "file://" + asked().string()};
    const process_result run = process::run(command);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out;
  }

  static std::string attribute(const std::string& text, const std::string& name) {
    std::smatch found;
    const std::string head = text.substr(0, 400);
    return std::regex_search(head, found, std::regex{"data-" + name + "=\"([^\"]*)\""})
               ? found[1].str()
               : "(none)";
  }

  static inline std::unique_ptr<scratch_folder> folder;
};

TEST_F(ComparePage, draws_its_charts_without_an_error) {
  const std::string text = browse();

  EXPECT_EQ(attribute(text, "error"), "(none)");
  EXPECT_EQ(attribute(text, "charts"), attribute(text, "canvases"));
  EXPECT_GE(std::stoi(attribute(text, "charts")), 10);
  EXPECT_EQ(attribute(text, "blank"), "0");
}

TEST_F(ComparePage, has_numbers_sources_commands_and_what_was_skipped) {
  const std::string text = browse();

  for (const char* part :
       {"ratio to callbacks", "ratio to fibers", "at 20 % of capacity", "900000x64 is skipped",
        "--only callbacks,fibers", "read_some_borrowed", "EPOLLRDHUP", "Chart.js",
        "Not in this table, for want of a program of tasks without sockets: callbacks, thread-pool",
        "with the interval from the smallest to the largest, which holds it at 50 %",
        "which several share; not counted", "TCP_NODELAY, backlog SOMAXCONN"}) {
    expect_in(text, part);
  }
}

TEST_F(ComparePage, asks_for_nothing_but_itself) {
  const std::string text = browse();

  EXPECT_EQ(attribute(text, "loaded"), "0");
  EXPECT_EQ(attribute(text, "refused"), "(none)");
  // The page forbids it to itself: whatever a script would ask for is refused.
  expect_in(text_of(page()), "default-src 'none'");
  EXPECT_FALSE(std::regex_search(text_of(page()), std::regex{R"((src|href)="[^#])"}));
}

}  // namespace
}  // namespace weft::test
