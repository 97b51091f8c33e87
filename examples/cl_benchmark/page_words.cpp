// SPDX-License-Identifier: MIT
#include "cl_benchmark/page_words.hpp"

#include <anyssr/core/text.hpp>
#include <optional>

#include "cl_benchmark/figures.hpp"
#include "cl_benchmark/page_numbers.hpp"
#include "support/html.hpp"
#include "support/page_shell.hpp"

namespace cl_benchmark {

using support::escaped;
using support::headline;
using support::percent;

namespace {

bool keeps_texts(const std::string& name) { return name.starts_with("replay_"); }
bool has_one_adapter(const std::string& name) {
  return name == "seq_lora" || name == "ewc" || name == "l2" || name == "o_lora" ||
         keeps_texts(name);
}
bool is_any(const std::string& /*name*/) { return true; }

/// Methods that could stand in for anyssr: they learn one task after another and are not told which
/// task a question is of.
bool is_alternative(const std::string& name) {
  return name != "anyssr" && name != "oracle" && name != "joint" && name != "majority";
}

/// What the words are about.
class Standings {
 public:
  Standings(const Options& options, const Results& results)
      : results_(results), methods_(methods_run(options, results)) {}

  [[nodiscard]] bool has(const std::string& name) const {
    return std::ranges::find(methods_, name) != methods_.end();
  }
  [[nodiscard]] const std::vector<MethodRun>& runs(const std::string& name) const {
    return results_.runs.at(name);
  }
  [[nodiscard]] double accuracy(const std::string& name) const {
    return mean_of(values_of(runs(name), average_accuracy_of));
  }
  /// " and forgets 1.3 points"; "" where the method has no such figure.
  [[nodiscard]] std::string forgets(const std::string& name) const {
    const std::vector<double> values = values_of(runs(name), forgetting_of);
    return values.empty() ? "" : " and forgets " + points_text(mean_of(values));
  }
  [[nodiscard]] std::string stored(const std::string& name) const {
    return anyssr::bytes_text(static_cast<double>(runs(name).front().stored_bytes.back()));
  }
  [[nodiscard]] std::string kept(const std::string& name) const {
    return anyssr::bytes_text(static_cast<double>(runs(name).front().retained_data_bytes));
  }

  /// The most accurate of the methods for which `holds(name)`; "" where there is none.
  [[nodiscard]] std::string best(bool (*holds)(const std::string&)) const {
    std::string found;
    for (const std::string& name : methods_) {
      if (holds(name) && (found.empty() || accuracy(name) > accuracy(found))) found = name;
    }
    return found;
  }

 private:
  const Results& results_;
  std::vector<std::string> methods_;
};

/// How certain it is that `first` is more accurate than `second`.
std::string certainty(const Standings& standings, const std::string& first,
                      const std::string& second) {
  const std::vector<double> ours = values_of(standings.runs(first), average_accuracy_of);
  const std::vector<double> theirs = values_of(standings.runs(second), average_accuracy_of);
  if (ours.size() < 2 || ours.size() != theirs.size()) {
    return " in one run, which does not tell how much of it is chance. ";
  }
  const anyssr::MeanInterval gap = anyssr::paired_difference(ours, theirs).difference;
  const double low = gap.mean - gap.half_width;
  return " (95&nbsp;% interval: " + signed_text(100 * low, 2) + " to " +
         signed_text(100 * (gap.mean + gap.half_width), 2) +
         (low > 0 ? "). " : "), which may be chance. ");
}

/// How anyssr stands against the best of the others.
std::string rival_sentence(const Standings& standings) {
  if (!standings.has("anyssr")) return "anyssr was not among the methods of this run. ";
  const std::string rival = standings.best(is_alternative);
  if (rival.empty()) return "";
  const double gap = standings.accuracy(rival) - standings.accuracy("anyssr");
  if (gap > 0) {
    return escaped(rival) + " is more accurate than anyssr, by " + points_text(gap, 2) +
           certainty(standings, rival, "anyssr");
  }
  const std::string none = "No other method that learns one task after another is more accurate. ";
  if (gap == 0) return none + escaped(rival) + " is as accurate. ";
  return none + "The next one, " + escaped(rival) + ", is behind by " + points_text(-gap, 2) +
         certainty(standings, "anyssr", rival);
}

std::string one_adapter_sentences(const Standings& standings) {
  std::string text;
  if (standings.has("seq_lora")) {
    text = "One adapter trained on task after task ends at " +
           percent(standings.accuracy("seq_lora")) + standings.forgets("seq_lora") + ". ";
  }
  const std::string replay = standings.best(keeps_texts);
  if (!replay.empty()) {
    text += "With replay of old texts (" + escaped(replay) + ") it reaches " +
            percent(standings.accuracy(replay)) + " and keeps " + standings.kept(replay) +
            " of them";
    text += standings.has("anyssr") ? "; anyssr keeps " + standings.kept("anyssr") + ". " : ". ";
  }
  const std::string single = standings.best(has_one_adapter);
  if (standings.has("anyssr") && !single.empty()) {
    text += "anyssr stores " + standings.stored("anyssr") + " between two tasks, the one adapter " +
            standings.stored(single) + ". ";
  }
  return text;
}

std::string bound_sentences(const Standings& standings) {
  std::string text;
  if (standings.has("joint")) {
    text = "One adapter that gets all tasks at once reaches " +
           percent(standings.accuracy("joint")) + ". ";
  }
  if (standings.has("oracle") && standings.has("anyssr")) {
    text += "Told the right task, the adapters of anyssr reach " +
            percent(standings.accuracy("oracle")) + ". ";
  }
  return text;
}

}  // namespace

std::string title_of(const Benchmark& benchmark, const Options& options, const Results& results) {
  const Standings standings(options, results);
  const auto answers = [&](const std::string& name) {
    return escaped(name) + " answers " + percent(standings.accuracy(name)) +
           " of the questions right";
  };
  const std::string tasks = counted(benchmark.tasks.size(), "task");
  const std::string taught =
      "Taught " + tasks + (benchmark.tasks.size() > 1 ? " one after another, " : ", ");
  const std::string rival = standings.best(is_alternative);
  if (!standings.has("anyssr")) {
    if (!rival.empty()) return taught + answers(rival);
    const std::string any = standings.best(is_any);
    return any.empty() ? "No method was run" : "Of " + tasks + ", " + answers(any);
  }
  if (!rival.empty() && standings.accuracy(rival) > standings.accuracy("anyssr")) {
    return taught + answers(rival) + ", anyssr " + percent(standings.accuracy("anyssr"));
  }
  return taught + answers("anyssr") + standings.forgets("anyssr");
}

std::string lead_of(const Options& options, const Results& results) {
  const Standings standings(options, results);
  std::string text;
  for (const std::string& part :
       {rival_sentence(standings), one_adapter_sentences(standings) + bound_sentences(standings)}) {
    if (!part.empty()) text += "<p class=\"lead\">" + part + "</p>\n";
  }
  return text;
}

std::string heads_of(const Options& options, const Results& results) {
  const Standings standings(options, results);
  const std::string first = standings.has("anyssr") ? "anyssr" : standings.best(is_any);
  if (first.empty()) return "";
  const std::vector<MethodRun>& runs = standings.runs(first);
  const std::string name = escaped(first);
  std::string text = "<div class=\"heads\">\n";
  const auto add = [&](const std::vector<double>& values, const std::string& unit,
                       const std::string& words) {
    if (!values.empty()) text += headline(interval_text(values, 1) + unit, words);
  };
  add(values_of(runs, average_accuracy_of), "&nbsp;%",
      "average accuracy of " + name + " over all tasks at the end");
  add(values_of(runs, forgetting_of), "&nbsp;points",
      "forgotten by " + name + ": best accuracy on a task so far, less that at the end");
  add(values_of(runs, routing_of), "&nbsp;%",
      "of the questions taken for the right task by " + name);
  const std::string single = standings.best(has_one_adapter);
  if (!single.empty() && single != first) {
    add(values_of(standings.runs(single), average_accuracy_of), "&nbsp;%",
        "average accuracy of " + escaped(single) + ", the best way with one adapter");
  }
  text += headline(standings.stored(first), "stored by " + name +
                                                " for all tasks, beside the frozen model; and " +
                                                standings.kept(first) + " of users' texts");
  const auto query = [](const MethodRun& run) { return run.query_microseconds; };
  text += headline(seconds_text(mean_of(values_of(runs, learn_seconds_of))),
                   "to learn all tasks with " + name + "; one question takes " +
                       seconds_text(1e-6 * mean_of(values_of(runs, query))));
  return text + "</div>\n";
}

}  // namespace cl_benchmark
