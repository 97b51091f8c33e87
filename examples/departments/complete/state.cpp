// SPDX-License-Identifier: MIT
#include "departments/complete/state.hpp"

#include <anyssr/io.hpp>

#include "departments/keeper.hpp"
#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace departments {

using namespace anyssr;

namespace {

constexpr const char* format = "anyssr-departments";

/// What decides about the numbers that are learned, by option.
Json learning_options(const Options& options) {
  Json json{{"scalar", options.scalar},
            {"dim", options.dim},
            {"seed", options.seed},
            {"expansion", options.expansion},
            {"activation", options.activation},
            {"ridge", options.ridge},
            {"rank", options.rank},
            {"subspace", options.subspace}};
  const TextModelOptions& model = options.model;
  if (!model.is_chosen()) return json;
  // which model it is says the fingerprint that is saved with the learner
  json.update(
      {{"no-words", model.no_words}, {"model-dim", model.dim}, {"model-weight", model.share()}});
  return json;
}

/// A value as one types it.
std::string typed(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The file that says with which options a state was learned.
std::filesystem::path options_file(const std::filesystem::path& folder) {
  return folder / "departments.json";
}

/// @return the options in the file
Json read_options(const std::filesystem::path& path) {
  Json json = read_json(path);
  if (!json.is_object() || !json.contains("format") || json["format"] != format ||
      !json.contains("options") || !json["options"].is_object()) {
    throw FormatError(path.string() + ": is not what departments wrote, expected format \"" +
                      format + "\" and options");
  }
  return std::move(json["options"]);
}

void expect_same_options(const std::filesystem::path& path, const Options& options) {
  const Json stored = read_options(path);
  const Json wanted = learning_options(options);
  for (const auto& [name, value] : wanted.items()) {
    if (!stored.contains(name)) {
      throw FormatError(path.string() + ": options have no \"" + name + "\"");
    }
    if (stored[name] == value) continue;
    throw ArgumentError("--" + name + " is " + typed(value) + ", expected " + typed(stored[name]) +
                        ", with which the state in " + options.state + " was learned");
  }
}

/// The folder, where a run on it has anything to do: one that has not leaves none behind. What is
/// in a folder must be a state, whose files may be replaced.
std::filesystem::path checked_folder(const Options& options) {
  const std::filesystem::path path = options_file(options.state);
  const bool has_state = has_checkpoint(options.state);
  expect_any(options.learn != 0 || has_state, options);
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    (void)read_options(path);
  } else if (has_state) {
    throw ArgumentError("--state is '" + options.state +
                        "', which holds a checkpoint of another program: it has no file " +
                        path.filename().string());
  } else {
    support::expect_unused_folder("--state", options.state, "a new folder, or one with a state");
  }
  return options.state;
}

}  // namespace

StateFolder::StateFolder(const Options& options) : writer_(checked_folder(options)) {
  const std::filesystem::path path = options_file(writer_.root());
  has_checkpoint_ = has_checkpoint(writer_.root());
  if (has_checkpoint_) {
    expect_same_options(path, options);
    return;
  }
  AtomicFile file(path);
  file.write(Json{{"format", format}, {"options", learning_options(options)}}.dump(2) + "\n");
  file.commit();
}

void StateFolder::expect_same_questions(const std::vector<TaskSummary>& tasks,
                                        const Questions& questions) const {
  support::Findings faults;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const Department& department = questions.departments[t];
    const std::string place =
        writer_.root().string() + ": department '" + support::shown(department.name) + "' ";
    const auto rows = static_cast<Index>(department.train.texts.size());
    if (tasks[t].rows != rows) {
      faults.add(place + "was learned from " + std::to_string(tasks[t].rows) +
                 " questions of split train, expected " + std::to_string(rows) +
                 ", as many as there are now");
    }
    const auto labels = tasks[t].metadata.find("labels");
    const std::string known = labels == tasks[t].metadata.end() ? "" : labels->second;
    if (known != label_list(department)) {
      faults.add(place + "was learned with the labels " + support::shown(known) + ", expected " +
                 support::shown(label_list(department)) + " as of the questions now");
    }
  }
  faults.throw_if_any<ArgumentError>();
}

}  // namespace departments
