// SPDX-License-Identifier: MIT
// The page and the figure that cl_benchmark writes: all of it stands in the one file, and names of
// tasks are text there, whatever is in them.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr::test;

namespace {

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

/// Two tasks of two answers each; the first has a name that would be markup.
class MarkedTasks {
 public:
  MarkedTasks() {
    write_rows("<b>&", "goes");
    write_rows("post", "comes");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  /// Runs the program on the tasks and expects that it ends well.
  void run(const std::string& arguments) const {
    const ProgramResult result = run_program(
        ANYSSR_CL_BENCHMARK, "--data " + folder_.file("tasks") +
                                 " --dim 128 --threads 1 --seeds 1 --quiet " + arguments);
    CAPTURE(arguments, result.output);
    REQUIRE(result.status == 0);
  }

 private:
  void write_rows(const std::string& task, const std::string& verb) const {
    std::filesystem::create_directories(folder_.file("tasks/" + task));
    for (const std::string split : {"train", "test"}) {
      std::string lines;
      for (int i = 0; i < 6; ++i) {
        for (const std::string way : {"up", "down"}) {
          const nlohmann::json row{{"text", verb + " " + way + " number " + std::to_string(i)},
                                   {"label", verb + " " + way}};
          lines += row.dump() + "\n";
        }
      }
      folder_.write("tasks/" + task + "/" + split + ".jsonl", lines);
    }
  }

  TemporaryFolder folder_;
};

void expect_self_contained(const std::string& html) {
  for (const char* load : {"http", "src=", "@import", "url(", "<script", "<link"}) {
    CAPTURE(load);
    CHECK(html.find(load) == std::string::npos);
  }
  for (const std::string tag : {"svg", "table", "section", "div", "p", "h2", "td", "tr", "text"}) {
    CAPTURE(tag);
    CHECK(count_of(html, "<" + tag + " ") + count_of(html, "<" + tag + ">") ==
          count_of(html, "</" + tag + ">"));
  }
}

}  // namespace

TEST_CASE("the page of cl_benchmark has every section in one file", "[examples]") {
  const MarkedTasks tasks;
  tasks.run("--seeds 2 --report " + tasks.file("page.html"));
  const std::string html = file_bytes(tasks.file("page.html"));
  for (const char* part :
       {"<h1>Taught 2&nbsp;tasks one after another, ", "<h2>Results</h2>", "Means over 2&nbsp;runs",
        "&plusmn;", "<h2>How accuracy changes while tasks are added</h2>",
        "<h2>Accuracy on each task after each lesson</h2>",
        "<h2>Which task are questions taken for?</h2>", "<h2>Each task at the end</h2>",
        "<h2>What it costs</h2>", "<h2>How cost grows with the number of tasks</h2>",
        "<h2>What each method is</h2>", "<h2>Settings</h2>",
        "<h2>Published figures, for orientation</h2>", "<h2>How to reproduce</h2>",
        "prefers-color-scheme", "@media print", "</html>"}) {
    CAPTURE(part);
    CHECK(html.find(part) != std::string::npos);
  }
  for (const char* method : {"anyssr", "oracle", "joint", "seq_lora", "replay_100", "majority"}) {
    CAPTURE(method);
    CHECK(html.find("<td class=\"text\">" + std::string(method) + "</td>") != std::string::npos);
  }
  expect_self_contained(html);
  CHECK(html.find("&lt;b&gt;&amp;") != std::string::npos);
  CHECK(html.find("<b>") == std::string::npos);
}

TEST_CASE("the page of cl_benchmark leaves out what one method and one run do not give",
          "[examples]") {
  const MarkedTasks tasks;
  tasks.run("--methods joint --report " + tasks.file("page.html"));
  const std::string html = file_bytes(tasks.file("page.html"));
  CHECK(html.find("anyssr was not among the methods of this run") != std::string::npos);
  CHECK(html.find("One run, so there are no intervals") != std::string::npos);
  CHECK(html.find("&plusmn;") == std::string::npos);
  CHECK(html.find("Which task are questions taken for?") == std::string::npos);
  CHECK(html.find("Accuracy on each task after each lesson") == std::string::npos);
  expect_self_contained(html);
}

TEST_CASE("the figure of cl_benchmark is an image of its own", "[examples]") {
  const MarkedTasks tasks;
  tasks.run("--methods anyssr,joint --figure " + tasks.file("figure.svg"));
  const std::string svg = file_bytes(tasks.file("figure.svg"));
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760.0\""));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(count_of(svg, "<svg ") == 1);
  CHECK(svg.find("prefers-color-scheme") != std::string::npos);
  CHECK(svg.find("&nbsp;") == std::string::npos);  // HTML alone knows that name
  for (const char* name : {">anyssr ", ">joint "}) {
    CAPTURE(name);
    CHECK(svg.find(name) != std::string::npos);
  }
}
