// SPDX-License-Identifier: MIT
// What no application does, whatever its command line says: it writes over nothing that it reads,
// takes no value for another, and ends well only where all that it printed has arrived.

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

struct Application {
  std::string name;
  std::string program;
  std::vector<std::string> commands;  ///< "" where there are none
};

const std::vector<Application>& applications() {
  static const std::vector<Application> all{
      {"adapter_tool",
       ANYSSR_ADAPTER_TOOL,
       {"list", "inspect", "convert", "merge", "compare", "verify", "verify-log"}},
      {"cl_benchmark", ANYSSR_CL_BENCHMARK, {""}},
      {"departments", ANYSSR_DEPARTMENTS, {""}},
      {"llama_continual", ANYSSR_LLAMA_CONTINUAL, {""}},
      {"llama_generate", ANYSSR_LLAMA_GENERATE, {""}},
      {"operations", ANYSSR_OPERATIONS, {""}},
      {"route_features", ANYSSR_ROUTE_FEATURES, {""}}};
  return all;
}

const Application& application_named(const std::string& name) {
  for (const Application& one : applications()) {
    if (one.name == name) return one;
  }
  FAIL("no application '" << name << "'");
  std::abort();
}

const std::string departments_path = ANYSSR_DEPARTMENTS;

/// Runs a line of a shell.
ProgramResult run_shell(const std::string& line) {
  return run_program("/bin/sh", "-c '" + line + "'");
}

struct NamedOption {
  std::string name;
  std::string type;  ///< as --help shows it
};

/// The options of a help text that take a value.
std::vector<NamedOption> options_in(const std::string& help) {
  std::vector<NamedOption> found;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::string type;
    if (!(words >> name >> type) || !name.starts_with("--")) continue;
    for (const char* known : {"TEXT", "UINT", "INT", "FLOAT"}) {
      if (type.starts_with(known)) found.push_back({name, known});
    }
  }
  return found;
}

void check_refused(const Application& application, const std::string& arguments,
                   const std::string& reason) {
  const ProgramResult result = run_program(application.program, arguments);
  CAPTURE(application.name, arguments, result.output);
  CHECK(result.status == 2);
  CHECK(contains(result.output, reason));
}

void check_refused(const std::string& application, const std::string& arguments,
                   const std::string& reason) {
  check_refused(application_named(application), arguments, reason);
}

/// One small department file: enough to be read.
std::string two_departments() {
  std::string lines;
  for (const char* task : {"money", "post"}) {
    for (const char* split : {"train", "test", "val"}) {
      for (const char* label : {"a", "b"}) {
        lines += nlohmann::json{{"text", std::string(task) + " question " + label},
                                {"task", task},
                                {"label", label},
                                {"split", split}}
                     .dump() +
                 "\n";
      }
    }
  }
  return lines;
}

/// A file and other ways to name it.
struct ManyNames {
  ManyNames() {
    fs::create_directory(folder.file("sub"));
    fs::create_symlink(file, folder.file("link"));
    fs::create_hard_link(file, folder.file("hard"));
    fs::create_directory_symlink(folder.file("."), folder.file("sub/up"));
  }
  TemporaryFolder folder;
  std::string file = folder.write("a.jsonl", two_departments());
  std::vector<std::string> names{file, folder.file("./sub/../a.jsonl"), folder.file("link"),
                                 folder.file("hard"), folder.file("sub/up/a.jsonl")};
};

}  // namespace

TEST_CASE("no option of any application takes an empty value", "[examples][error]") {
  std::size_t checked = 0;
  for (const Application& application : applications()) {
    for (const std::string& command : application.commands) {
      const std::string help = run_program(application.program, command + " --help").output;
      for (const NamedOption& option : options_in(help)) {
        ++checked;
        check_refused(application, command + " " + option.name + " ''",
                      "is empty, expected a value");
        check_refused(application, command + " x " + option.name + "= x",
                      option.name + ": is empty, expected a value");
      }
    }
    if (application.name == "adapter_tool") {
      check_refused(application, "inspect ''", "is empty, expected a value");
    }
  }
  CHECK(checked > 60);
}

TEST_CASE("no option of any application is taken for the value of another", "[examples][error]") {
  for (const Application& application : applications()) {
    for (const std::string& command : application.commands) {
      const std::string help = run_program(application.program, command + " --help").output;
      for (const NamedOption& option : options_in(help)) {
        for (const std::string next : {"--help", "--json", "--json=x"}) {
          check_refused(
              application, command + " " + option.name + " " + next,
              option.name + ": is " + next + ", another option: is a variable of a script");
        }
      }
    }
  }
  const std::string run = "--data " + ManyNames().folder.file("gone") + " --ask ";
  for (const std::string text : {"--x=", "--x", "-", "--", "--quiet please"}) {
    check_refused("departments", run + "\"" + text + "\"", "gone: cannot be opened");
  }
  check_refused("departments", "--quiet --ask=--quiet --data /nowhere/a", "/nowhere/a: cannot");
}

TEST_CASE("no number of any application is taken for another", "[examples][error]") {
  std::size_t checked = 0;
  for (const Application& application : applications()) {
    for (const std::string& command : application.commands) {
      const std::string help = run_program(application.program, command + " --help").output;
      for (const NamedOption& option : options_in(help)) {
        if (option.type == "TEXT") continue;
        ++checked;
        std::vector<std::string> wrong{
            "99999999999999999999", "18446744073709551616", "0x10", "1x", "010", "+1", "1_000"};
        if (option.type == "FLOAT")
          wrong = {"nan", "inf", "-inf", "1e999", "1e-999", "0x1p3", "1x"};
        if (option.type == "UINT") wrong.emplace_back("-1");
        for (const std::string& value : wrong) {
          check_refused(application, command + " x " + option.name + " " + value,
                        option.name + ": is " + value + ", expected ");
        }
        if (option.type != "INT") continue;
        for (const std::string& value :
             {option.name + " 2147483648", option.name + " 1 " + option.name + " -99999999999"}) {
          const ProgramResult result =
              run_program(application.program, command + " x y z " + value);
          CAPTURE(application.name, value, result.output);
          CHECK(result.status == 2);
          CHECK_FALSE(contains(result.output, "Could not convert"));
        }
      }
    }
  }
  CHECK(checked > 30);
  check_refused("route_features", "--train x --test x --threads 1 --threads 2147483648",
                "--threads: is 2147483648, expected a whole number between -2^31 and 2^31");
}

TEST_CASE("no flag of any application takes a value", "[examples][error]") {
  for (const Application& application : applications()) {
    for (const std::string& command : application.commands) {
      for (const std::string flag : {"--quiet", "--force", "--interactive", "--balanced"}) {
        const std::string help = run_program(application.program, command + " --help").output;
        if (!contains(help, flag + " ")) continue;
        check_refused(application, command + " " + flag + "=5",
                      flag + ": takes no value, expected " + flag + " alone");
      }
    }
  }
}

TEST_CASE("an output that is an input is refused by whatever name", "[examples][error]") {
  const ManyNames input;
  const std::string data = " --data " + input.file;
  for (const std::string& name : input.names) {
    CAPTURE(name);
    check_refused("departments", data + " --json " + name, "the same as --data");
    check_refused("operations", data + " --report " + name, "the same as --data");
    check_refused("route_features", "--train x --test " + input.file + " --weights " + name,
                  "the same as --test");
    check_refused("llama_continual", "model --task a=x," + input.file + " --json " + name,
                  "the same as --task");
    CHECK(file_bytes(input.file) == two_departments());
  }
  const std::string comma = input.folder.write("b,c.jsonl", "{}");
  check_refused("llama_continual", "model --task a=x," + comma + " --json " + comma,
                "the same as --task");
  CHECK(file_bytes(comma) == "{}");
  const std::string model = input.folder.file("sub");
  const std::string config = input.folder.write("sub/config.json", "{}");
  check_refused("llama_generate", model + " --ids 1 --logits " + config, "inside MODEL_DIR");
  check_refused("llama_continual", model + " --task a=x --report " + config, "inside MODEL_DIR");
  for (const std::string command : {"inspect ", "verify ", "verify-log "}) {
    check_refused("adapter_tool", command + model + " --json " + config, "inside FOLDER");
  }
  CHECK(file_bytes(config) == "{}");
}

TEST_CASE("two outputs that are one file are refused by whatever name", "[examples][error]") {
  const ManyNames input;
  const std::string target = input.folder.file("new");
  fs::create_symlink(target, input.folder.file("dangling"));
  for (const std::string& other :
       {target, input.folder.file("sub/up/new"), input.folder.file("dangling")}) {
    CAPTURE(other);
    const std::string outputs = "--json " + target + " --report " + other;
    check_refused("operations", outputs, "the same as --json");
    check_refused("llama_continual", "model --task a=x " + outputs, "the same as --json");
    CHECK_FALSE(fs::exists(target));
  }
}

TEST_CASE("an output is not the file behind a standard stream", "[examples][error]") {
  const ManyNames input;
  const std::string stream = input.folder.write("stream", "questions\n");
  const auto [to, name] = GENERATE(std::pair<std::string, std::string>{" <", "standard input"},
                                   std::pair<std::string, std::string>{" >>", "standard output"},
                                   std::pair<std::string, std::string>{" 2>>", "standard error"});
  const ProgramResult result = run_shell(departments_path + " --data " + input.file + " --json " +
                                         stream + to + stream + "; echo status $?");
  CAPTURE(name, result.output);
  CHECK(contains(result.output + file_bytes(stream),
                 "which is " + name + ", expected a file of its own"));
  CHECK(contains(result.output, "status 2"));
  CHECK(file_bytes(stream).starts_with("questions\n"));
}

TEST_CASE("an output is no folder and stands in none that the run keeps", "[examples][error]") {
  const ManyNames input;
  const std::string state = input.folder.file("state");
  const std::string log = input.folder.file("log");
  check_refused("departments",
                "--data " + input.file + " --state " + state + " --json " + state + "/out.json",
                "cannot be written");  // the folder is not there yet
  fs::create_directory(state);
  fs::create_directory(log);
  check_refused("departments",
                "--data " + input.file + " --state " + state + " --json " + state + "/out.json",
                "inside --state");
  check_refused("operations",
                "--data " + input.file + " --log " + log + " --report " + log + "/page.html",
                "inside --log");
  check_refused("departments", "--data " + input.file + " --json " + log, "is no regular file");
  check_refused("adapter_tool", "convert " + log + " " + log + " --force --dtype F32",
                "the same as FOLDER");
  CHECK(fs::is_empty(state));
  CHECK(fs::is_empty(log));
}

TEST_CASE("an input inside a folder that the run keeps is refused and stays as it was",
          "[examples][error]") {
  const TemporaryFolder folder;
  const std::string kept = folder.file("kept");
  fs::create_directory(kept);
  fs::create_directory_symlink(kept, folder.file("link"));
  const std::string& questions = two_departments();
  for (const std::string name : {"departments.json", "router-000001.safetensors", "LOCK",
                                 "audit.lock", "000001.jsonl", "a.jsonl"}) {
    CAPTURE(name);
    const std::string input = folder.write("kept/" + name, questions);
    for (const std::string& as : {kept, folder.file("link")}) {
      check_refused("departments", "--data " + input + " --dim 64 --state " + as,
                    "inside --state '" + as + "', expected it outside that folder");
      check_refused("operations", "--data " + input + " --dim 64 --log " + as,
                    "inside --log '" + as + "', expected it outside that folder");
      check_refused("llama_continual", "model --task a=" + input + " --save " + as,
                    "inside --save '" + as + "', expected it outside that folder");
    }
    CHECK(file_bytes(input) == questions);
    fs::remove(input);
    CHECK(fs::is_empty(kept));  // no lock either
  }
  check_refused("adapter_tool", "convert " + kept + " " + kept + "/sub --dtype F32",
                "inside FOLDER '" + kept + "', expected it outside that folder");
}

TEST_CASE("a folder of somebody else is no state and stays as it was", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string state = folder.file("state");
  const std::string run = "--data " + folder.write("a.jsonl", two_departments()) +
                          " --dim 64 --rank 0 --quiet --state " + state;
  const std::string precious = "{\"precious\":1}\n";
  const auto check_kept = [&](const std::string& name, const std::string& reason) {
    fs::create_directory(state);
    folder.write("state/" + name, precious);
    check_refused("departments", run, reason);
    CHECK(file_bytes(state + "/" + name) == precious);
    CHECK(fs::remove_all(state) == 2);  // the folder and the one file
  };
  check_kept("departments.json", "departments.json: is not what departments wrote");
  check_kept("router-000001.safetensors", "which holds 'router-000001.safetensors' already");
  check_kept("CURRENT", "which holds a checkpoint of another program");
  check_kept("LOCK", "LOCK: is no lock but a file of somebody else");
  check_refused("departments", run + "/a --state " + folder.file("a.jsonl"),
                "which is no folder, expected one, or a new name");
  fs::create_directory(state);
  folder.write("state/LOCK", "process 7 on host x\n");  // of a run that was killed at once
  const ProgramResult result = run_program(departments_path, run);
  CAPTURE(result.output);
  CHECK(result.status == 0);
}

TEST_CASE("a run killed or stopped by a limit leaves no temporary file", "[examples]") {
  const TemporaryFolder folder;
  const std::string out = folder.file("out");
  const std::string temporary = folder.file("tmp");
  fs::create_directory(out);
  fs::create_directory(temporary);
  const std::string data = " --data " + folder.write("a.jsonl", two_departments());
  const ProgramResult limited = run_shell("ulimit -f 1; " + departments_path + data +
                                          " --dim 64 --quiet --json " + out + "/a.json; echo $?");
  CAPTURE(limited.output);
  CHECK(limited.output.ends_with("2\n"));
  CHECK(fs::is_empty(out));
  const ProgramResult killed = run_shell(
      "TMPDIR=" + temporary + " " + application_named("operations").program + " >" +
      folder.file("printed") + " & p=$!; for i in $(seq 100); do sleep 0.1; ls -A " + temporary +
      " | grep -q . && break; done; ls -A " + temporary + "; kill $p; wait $p; echo status $?");
  CAPTURE(killed.output);
  CHECK(contains(killed.output, "anyssr-"));
  CHECK(contains(killed.output, "status 143"));
  CHECK(fs::is_empty(temporary));
}

TEST_CASE("what cannot be printed is an error of every application", "[examples][error]") {
  for (const Application& application : applications()) {
    for (const std::string to : {">/dev/full", ">&-"}) {
      const ProgramResult result =
          run_shell(application.program + " --help " + to + "; echo status $?");
      CAPTURE(application.name, to, result.output);
      CHECK(contains(result.output, application.name + ": standard output cannot be written"));
      CHECK(contains(result.output, "status 2"));
    }
  }
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const std::string run = departments_path + " --data " +
                          folder.write("a.jsonl", two_departments()) +
                          " --dim 64 --rank 0 --json " + out;
  const ProgramResult pipe = run_shell("{ " + run + "; echo status $? >&2; } | true");
  CAPTURE(pipe.output);
  CHECK(contains(pipe.output, "departments: standard output cannot be written"));
  CHECK(contains(pipe.output, "status 2"));
  CHECK(read_figures(out)["tasks"].size() == 2);       // written whole all the same
  CHECK(run_shell(run + " --quiet >&-").status == 0);  // which prints nothing
}

TEST_CASE("a run with closed descriptors keeps its files clean", "[examples]") {
  const TemporaryFolder folder;
  const std::string data = folder.write("a.jsonl", two_departments());
  const std::string state = folder.file("state");
  const std::string log = folder.file("log");
  const std::string closed = " <&- >&- 2>&-";
  (void)run_shell(departments_path + " --data " + data + " --dim 64 --rank 0 --state " + state +
                  closed);
  CHECK(file_bytes(state + "/LOCK").starts_with("process "));
  CHECK(file_bytes(state + "/LOCK").find('\n') == file_bytes(state + "/LOCK").size() - 1);
  const ProgramResult verified =
      run_program(application_named("adapter_tool").program, "verify " + state);
  CAPTURE(verified.output);
  CHECK(verified.status == 0);
  (void)run_shell(application_named("operations").program + " --dim 64 --log " + log + closed);
  const ProgramResult intact =
      run_program(application_named("adapter_tool").program, "verify-log " + log);
  CAPTURE(intact.output);
  CHECK(intact.status == 0);
  CHECK(contains(intact.output, "the log is intact"));
}

TEST_CASE("data that cannot be read is an error and no crash", "[examples][error]") {
  const TemporaryFolder folder;
  for (const std::string& data :
       {std::string("/proc/self/mem"), std::string("/dev/zero"), folder.file(".")}) {
    check_refused("departments", "--data " + data, data);
    check_refused("operations", "--data " + data, data);
    check_refused("route_features", "--train " + data + " --test " + data, data);
  }
  check_refused("llama_continual", folder.file(".") + " --task a=/proc/self/mem", "/proc/self/mem");
  const ProgramResult typed = run_program(departments_path,
                                          "--dim 64 --rank 0 --quiet --interactive --data " +
                                              folder.write("a.jsonl", two_departments()),
                                          folder.file("."));
  CAPTURE(typed.output);
  CHECK(typed.status == 2);
  CHECK(contains(typed.output, "standard input cannot be read"));
}

TEST_CASE("a program leaves no temporary file and keeps the mode of what it replaces",
          "[examples]") {
  const TemporaryFolder folder;
  const std::string run = departments_path + " --data " +
                          folder.write("a.jsonl", two_departments()) + " --dim 64 --rank 0 --quiet";
  const std::string out = folder.write("out.json", "old");
  fs::permissions(out, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(folder.write("elsewhere", "text"), folder.file("out.json.part"));
  CHECK(run_shell(run + " --json " + out).status == 0);
  CHECK((fs::status(out).permissions() & fs::perms::group_read) == fs::perms::none);
  CHECK(file_bytes(folder.file("elsewhere")) == "text");
  CHECK(run_shell("umask 077; " + run + " --json " + folder.file("new.json")).status == 0);
  CHECK((fs::status(folder.file("new.json")).permissions() & fs::perms::group_read) ==
        fs::perms::none);
  for (const auto& entry : fs::directory_iterator(folder.file("."))) {
    CHECK_FALSE(entry.path().filename().string().starts_with(".tmp-"));
  }
}
