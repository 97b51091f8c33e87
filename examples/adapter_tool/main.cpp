// SPDX-License-Identifier: MIT

/// @file
/// Looks after PEFT adapter folders and checkpoints from the shell: lists, inspects, converts,
/// merges and compares adapters, and says whether a checkpoint is whole and an audit log intact.
///
/// Learn from it how adapters are read, added up and written without a model.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adapter_tool/report.hpp"
#include "support/application.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"

namespace {

using namespace adapter_tool;

/// The command line. Each command gives the exit status: 0, 1 for what is damaged, 2 for what
/// cannot be read.
class Commands {
 public:
  explicit Commands(CLI::App& app) {
    support::prepare(app);
    app.require_subcommand(0, 1);  // run() names the commands where there is none
    app.footer(
        "A FOLDER holds adapter_config.json and adapter_model.safetensors, as PEFT saves them.\n"
        "Exit status: 0; 1 for a damaged checkpoint or audit log; 2 for wrong arguments or files.");
    declare_list(app);
    declare_inspect(app);
    declare_convert(app);
    declare_merge(app);
    declare_compare(app);
    declare_verify(app);
    declare_verify_log(app);
  }

  /// Runs the one command that was given.
  [[nodiscard]] int run() const {
    support::expect(action_ != nullptr,
                    "there is no command, expected list, inspect, convert, merge, compare, "
                    "verify or verify-log");
    expect_files_apart();
    return action_();
  }

 private:
  void expect_files_apart() const {
    support::RunFiles files;
    if (!folder_.empty()) files.reads("FOLDER", folder_);
    for (const std::string& text : folders_) {
      if (!list_->parsed()) {
        files.reads("FOLDER", merge_->parsed() ? parse_entry(text).folder : text);
        continue;
      }
      // a list may stand beside the adapters, but not among the files of one
      for (const auto& adapter : find_adapters(text)) files.reads("FOLDER", adapter.string());
    }
    files.keeps("OUT", out_);
    files.writes("--json", json_ == "-" ? std::string() : json_);
    files.expect_apart();
  }

  template <class Action>
  CLI::App& add(CLI::App& app, const char* name, const char* what, const Action& action) {
    CLI::App& command = *app.add_subcommand(name, what);
    command.add_option("--json", json_,
                       "write what was found to this file as JSON; -: to standard output, and no "
                       "table");
    command.callback([this, action] { action_ = action; });
    return command;
  }

  static CLI::Option& add_list(CLI::App& command, const char* name,
                               std::vector<std::string>& values, const char* what) {
    return *command.add_option(name, values, what)
                ->required()
                ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void declare_list(CLI::App& app) {
    CLI::App& command =
        add(app, "list",
            "One line for every adapter at or below the folders (hidden ones are left "
            "out), by its config and header: numbers are not read.",
            [this] {
              const Listing listing = list(folders_);
              report(listing, json_);
              return listing.is_readable() ? 0 : 2;
            });
    list_ = &command;
    add_list(command, "FOLDER", folders_, "where to look");
  }

  void declare_inspect(CLI::App& app) {
    CLI::App& command =
        add(app, "inspect",
            "Sites of an adapter with shapes, ranks and the Frobenius norm of their change "
            "s B A, s = alpha / rank; heads; warnings.",
            [this] {
              report(inspect(folder_), json_);
              return 0;
            });
    command.add_option("FOLDER", folder_, "the adapter")->required();
  }

  void declare_convert(CLI::App& app) {
    CLI::App& command =
        add(app, "convert", "Writes an adapter with numbers of another type; the config is copied.",
            [this] {
              report(convert({.folder = folder_, .out = out_, .dtype = dtype_, .force = force_}),
                     json_);
              return 0;
            });
    command.add_option("FOLDER", folder_, "the adapter")->required();
    add_out(command);
    command
        .add_option("--dtype", dtype_,
                    "F64, F32, F16 or BF16; a number too large for it is refused")
        ->required();
  }

  void declare_merge(CLI::App& app) {
    CLI::App& command = add(
        app, "merge",
        "Writes the weighted sum of adapters: ranks add up, heads of one name are averaged. "
        "One adapter of weight 1 is copied as it is. Errors are those of the written file.",
        [this] {
          report(merge({.out = out_, .folders = folders_, .rank = rank_, .force = force_}), json_);
          return 0;
        });
    merge_ = &command;
    add_out(command);
    add_list(command, "FOLDER[:WEIGHT]", folders_, "adapters; weight 1 where none is given");
    command.add_option("--rank", rank_,
                       "compress every site to at most this rank, nearest in the Frobenius norm");
  }

  void declare_compare(CLI::App& app) {
    CLI::App& command =
        add(app, "compare", "Cosine of the changes of adapters over the sites they share: -1 to 1.",
            [this] {
              report(compare(folders_), json_);
              return 0;
            });
    add_list(command, "FOLDER", folders_, "two adapters or more").expected(2, 1 << 20);
  }

  void declare_verify(CLI::App& app) {
    CLI::App& command =
        add(app, "verify",
            "Reads every file of a learner's checkpoint and says which are damaged; the exit "
            "status is 1 then.",
            [this] {
              const Verification verification = verify(folder_);
              report(verification, json_);
              return verification.is_whole() ? 0 : 1;
            });
    command.add_option("CHECKPOINT", folder_, "its folder")->required();
  }

  void declare_verify_log(CLI::App& app) {
    CLI::App& command =
        add(app, "verify-log",
            "Follows the digests of an audit log from line to line and says where one was "
            "changed, removed or put in; the exit status is 1 then, and where there is no line.",
            [this] {
              const LogVerification verification = verify_log(folder_, head_);
              report(verification, json_);
              return verification.is_intact() ? 0 : 1;
            });
    command.add_option("LOG", folder_, "its folder, or one of its files")->required();
    command.add_option("--head", head_,
                       "sha256:... of a line, as it was kept: the log must have that line, so a "
                       "cut end shows too");
  }

  void add_out(CLI::App& command) {
    command.add_option("OUT", out_, "new folder")->required();
    command.add_flag("--force", force_, "write over the adapter in OUT");
  }

  std::function<int()> action_;
  std::vector<std::string> folders_;
  std::string folder_;
  std::string out_;
  const CLI::App* list_ = nullptr;
  const CLI::App* merge_ = nullptr;
  std::string dtype_;
  std::string json_;
  std::string head_;
  std::optional<std::int64_t> rank_;
  bool force_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Lists, inspects, converts, merges and compares adapters, verifies checkpoints and audit "
      "logs.",
      "adapter_tool"};
  Commands commands(app);
  return support::run_application(app, argc, argv,
                                  "adapters are read in double: merge or compare fewer at once",
                                  [&] { return commands.run(); });
}
