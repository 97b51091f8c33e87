// SPDX-License-Identifier: MIT
#include <algorithm>
#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/io/audit_log.hpp>
#include <anyssr/io/audit_verification.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <anyssr/learner/task_pairs.hpp>
#include <anyssr/store/storage_shape.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "operations/experiment.hpp"
#include "operations/measures.hpp"
#include "support/messages.hpp"
#include "support/shown.hpp"
#include "support/temporary_folder.hpp"

namespace operations {

using namespace anyssr;
using departments::Department;
using departments::Questions;
using departments::Split;

namespace {

constexpr std::size_t shown_waiting = 20;
constexpr std::size_t most_corrections = 50;
constexpr double asked_coverage = 0.95;
constexpr double flagged_share = 0.05;  // of known questions that may count as of no department

/// Those of `departments`, but that decisions carry the exact novelty and the data is watched.
LearnerOptions learner_options(const Options& options) {
  LearnerOptions result;
  result.router.rls.ridge = options.ridge;
  result.router.rls.ridge_scale = RidgeScale::absolute;  // hashed rows have norm 1
  result.router.rls.threads = options.threads;
  result.router.novelty.mode = NoveltyMode::leverage;
  result.inspector = InspectorOptions{.seed = options.seed};
  result.lift.seed = options.seed;
  result.seed = options.seed;
  return result;
}

std::uint64_t bytes_in(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

class Run {
  using Learner = ContinualLearner<TextHashingBackbone<float>>;
  using Output = typename Learner::Output;

 public:
  Run(const Questions& questions, const Options& options)
      : questions_(questions),
        options_(options),
        temporary_(options.log.empty() ? std::make_unique<support::TemporaryFolder>(
                                             " for the audit log: name one by --log")
                                       : nullptr),
        log_(temporary_ ? temporary_->path() : std::filesystem::path(options.log)),
        reviews_(std::make_shared<ReviewQueue<std::string>>()),
        learner_(TextHashingBackbone<float>(
                     {.dim = static_cast<Index>(options.dim), .seed = options.seed}),
                 learner_options(options)) {
    learner_.set_hooks({.audit = log_.sink(),
                        .reviews = reviews_,
                        .to_bytes = [](const auto& text) { return text; }});
    for (Index t = 0; t < count(); ++t) {
      results_.tasks.push_back(department(t).name);
      validation_.add(department(t), department(t).val, t);
    }
  }

  Results run() {
    const anyssr::Stopwatch clock;
    for (Index t = 0; t < count(); ++t) learn(t);
    const std::string unsound = learner_.router().feature_condition().warning();
    if (!unsound.empty()) warn("the router: " + unsound);
    measure();
    fit_policy();
    try_blend();
    serve();
    correct();
    try_changes();
    consolidate();
    foresee();
    verify();
    results_.total_seconds = clock.seconds();
    return std::move(results_);
  }

 private:
  [[nodiscard]] Index count() const { return static_cast<Index>(questions_.departments.size()); }
  [[nodiscard]] const Department& department(Index t) const {
    return questions_.departments[static_cast<std::size_t>(t)];
  }
  [[nodiscard]] const std::string& name(Index t) const { return department(t).name; }

  void say(const char* stage) const {
    if (options_.quiet) return;
    std::printf("%s\n", stage);
    std::fflush(stdout);
  }

  [[nodiscard]] std::vector<std::string> names() const {
    const std::size_t known = learner_.router().tasks().size();
    return {results_.tasks.begin(), results_.tasks.begin() + static_cast<std::ptrdiff_t>(known)};
  }

  /// Asks the router, and neither log nor queue hear of it.
  /// @param order  the tasks of the decisions: a merge that was undone puts the learner's own in
  ///               another order
  [[nodiscard]] std::vector<RoutingDecision> decide(const std::vector<std::string>& texts,
                                                    const std::vector<std::string>& order) const {
    const AnalyticRouter<float>& router = learner_.router();
    std::vector<RoutingDecision> decisions = learner_.snapshot().decide(texts);
    for (RoutingDecision& decision : decisions) {
      const RoutingDecision own = decision;
      for (std::size_t t = 0; t < order.size(); ++t) {
        const Index at = *router.find(order[t]);
        decision.scores(static_cast<Index>(t)) = own.scores(at);
        if (own.task == at) decision.task = static_cast<Index>(t);
        if (own.runner_up == at) decision.runner_up = static_cast<Index>(t);
      }
    }
    return decisions;
  }
  void decide(Judged& judged) const { judged.decisions = decide(judged.texts, names()); }

  void learn(Index t) {
    const Department& task = department(t);
    const TaskReport report = learner_.learn_task(task.name, task.train.texts, task.train.labels);
    const Split& split = options_.measured == "val" ? task.val : task.test;
    measured_.add(task, split, t);
    decide(measured_);
    const double error = expected_calibration_error(measured_.confidences(), measured_.correct());
    results_.ece_after_each_task.push_back(error);
    if (options_.quiet) return;
    std::printf("%3ld/%ld  %s %6ld rows %7.2f s   routed right %.3f, calibration error %.3f\n",
                static_cast<long>(t + 1), static_cast<long>(count()),
                support::in_columns(task.name, 24).c_str(), static_cast<long>(report.rows),
                report.seconds, measured_.accuracy(), error);
    std::fflush(stdout);
  }

  void measure() {
    std::vector<double> outside;
    for (const auto& decision : learner_.snapshot().decide(questions_.outside)) {
      outside.push_back(*decision.novelty);
    }
    add_confidence_figures(measured_, std::move(outside), results_);
    for (const double promised : promised_coverages) {
      const double threshold = learner_.router().table()->candidate_threshold(promised);
      results_.coverage.push_back(coverage_of(measured_, promised, threshold));
    }
    measure_similarity();
  }

  void measure_similarity() {
    const std::size_t tasks = results_.tasks.size();
    results_.similarity.assign(tasks, std::vector<double>(tasks, 1));
    for (const TaskPair& pair : task_pairs(learner_)) {
      const auto i = static_cast<std::size_t>(*learner_.router().find(pair.first));
      const auto j = static_cast<std::size_t>(*learner_.router().find(pair.second));
      results_.similarity[i][j] = results_.similarity[j][i] = pair.confusion;
    }
  }

  /// Thresholds by validation questions: none of them was learned.
  void fit_policy() {
    say("\nfitting the policy on validation questions");
    decide(validation_);
    results_.fitted =
        fit_confidence(validation_.confidences(), validation_.correct(), options_.max_risk);
    RoutingPolicy& policy = results_.policy;
    policy.name = support::concat("risk ", options_.max_risk);
    policy.min_confidence = results_.fitted ? results_.fitted->min_confidence : 1;
    policy.max_novelty = fit_novelty(validation_.novelties(), flagged_share);
    policy.coverage = asked_coverage;
    policy.max_candidates = 1;
    learner_.set_policy(policy);
  }

  /// The policy does not blend: what would be if it did.
  void try_blend() {
    RoutingPolicy policy = results_.policy;
    policy.blend = true;
    const PolicyTable table(policy, *learner_.router().table());
    std::vector<std::shared_ptr<const Adapter<float>>> adapters;
    for (const std::string& task : names()) adapters.push_back(learner_.snapshot().adapter(task));
    std::vector<std::string> texts;
    std::vector<std::size_t> asked;
    std::vector<AdapterMix<float>> alone;
    std::vector<AdapterMix<float>> blended;
    for (std::size_t i = 0; i < measured_.size(); ++i) {
      RoutingDecision decision = measured_.decisions[i];
      table.apply(decision);
      if (decision.outcome != RoutingOutcome::blend) continue;
      texts.push_back(measured_.texts[i]);
      asked.push_back(i);
      const Adapter<float>& best = *adapters[static_cast<std::size_t>(decision.task)];
      const double second = table.runner_up_confidence(decision);
      const double both = decision.confidence + second;
      alone.emplace_back(best);
      blended.emplace_back(best, decision.confidence / both);
      blended.back().add(adapters[static_cast<std::size_t>(decision.runner_up)].get(),
                         second / both);
    }
    if (texts.empty()) return;
    const auto& backbone = learner_.backbone();
    const auto trunk = backbone.trunk(texts);
    const auto count_right = [&](const std::vector<AdapterMix<float>>& mixes) {
      const std::vector<Output> outputs = backbone.forward(trunk, mixes);
      Index right = 0;
      for (std::size_t k = 0; k < asked.size(); ++k) {
        const bool is_right = measured_.is_right(asked[k]) &&
                              backbone.is_correct(outputs[k], measured_.labels[asked[k]]);
        right += is_right ? 1 : 0;
      }
      return right;
    };
    results_.blend = {.questions = static_cast<Index>(asked.size()),
                      .right_alone = count_right(alone),
                      .right_blended = count_right(blended)};
  }

  /// All measured questions and those of no department, in random order as users would ask.
  void serve() {
    say("serving questions of departments and others");
    const std::size_t known = measured_.size();
    const auto all = static_cast<Index>(known + questions_.outside.size());
    RandomStream random(options_.seed, 2000);
    const std::vector<Index> order = random_permutation(all, random);
    std::vector<std::string> texts;
    std::vector<std::string> ids;
    for (const Index i : order) {
      const auto at = static_cast<std::size_t>(i);
      texts.push_back(at < known ? measured_.texts[at] : questions_.outside[at - known]);
      ids.push_back(at < known ? measured_.ids[at] : "none/" + std::to_string(at - known + 1));
    }
    const std::uint64_t before = bytes_in(log_.folder());
    const auto predictions = learner_.predict(texts, {}, {.ids = ids});
    log_bytes_a_query_ =
        static_cast<double>(bytes_in(log_.folder()) - before) / static_cast<double>(all);
    results_.outcomes = {{.outcome = "routed"}, {.outcome = "review"}, {.outcome = "fallback"}};
    for (std::size_t k = 0; k < predictions.size(); ++k) {
      const auto at = static_cast<std::size_t>(order[k]);
      const RoutingDecision& decision = predictions[k].decision;
      OutcomeCounts& counts = results_.outcomes[decision.outcome == RoutingOutcome::routed   ? 0
                                                : decision.outcome == RoutingOutcome::review ? 1
                                                                                             : 2];
      if (at >= known) {
        ++counts.outside;
        continue;
      }
      ++counts.known;
      counts.wrong += decision.task == measured_.tasks[at] ? 0 : 1;
    }
    list_waiting();
  }

  void list_waiting() {
    const auto items = reviews_->list();
    results_.waiting_count = items.size();
    for (std::size_t i = 0; i < std::min(items.size(), shown_waiting); ++i) {
      const ReviewItem<std::string>& item = items[i];
      WaitingQuestion waiting{.id = item.query,
                              .text = item.input,
                              .proposed = item.task,
                              .candidates = item.candidates,
                              .confidence = item.confidence,
                              .novelty = item.novelty.value_or(0)};
      for (const Rival& rival : learner_.explain(item.input, 1, 100).rivals) {
        for (const NamedPush& push : rival.pushes) {
          const bool is_part_of_word = push.name.starts_with("...");
          if (push.push > 0 && !is_part_of_word && waiting.reasons.size() < 3) {
            waiting.reasons.push_back(push.name);
          }
        }
      }
      results_.waiting.push_back(std::move(waiting));
    }
  }

  void correct() {
    say("correcting questions of the pair that is confused most");
    const Pair pair = most_confused_pair(validation_, count());
    const auto is_of_pair = [&](std::size_t i) {
      return measured_.tasks[i] == pair.first || measured_.tasks[i] == pair.second;
    };
    const auto is_other = [&](std::size_t i) { return !is_of_pair(i); };
    CorrectionFigures& figures = results_.correction;
    figures = {.first = name(pair.first), .second = name(pair.second), .confused = pair.confused};
    figures.pair_before = measured_.accuracy(is_of_pair);
    figures.others_before = measured_.accuracy(is_other);
    //! [correct]
    std::vector<Correction<std::string, Index>> corrections;
    for (const std::size_t i : worth_correcting(validation_, pair, most_corrections)) {
      corrections.push_back({.query = validation_.texts[i],
                             .right_task = name(validation_.tasks[i]),
                             .target = validation_.labels[i]});
    }
    const anyssr::Stopwatch clock;
    if (!corrections.empty()) learner_.correct(corrections);  // neither may have validation rows
    //! [correct]
    figures.seconds = clock.seconds();
    figures.corrected = static_cast<Index>(corrections.size());
    decide(measured_);
    figures.pair_after = measured_.accuracy(is_of_pair);
    figures.others_after = measured_.accuracy(is_other);
  }

  /// Share of questions whose department and intent both come out right.
  [[nodiscard]] double end_to_end(const Judged& judged,
                                  const std::vector<std::string>& order) const {
    Index right = 0;
    for (std::size_t t = 0; t < order.size(); ++t) {
      std::vector<std::string> texts;
      std::vector<Index> labels;
      for (std::size_t i = 0; i < judged.size(); ++i) {
        if (!judged.is_right(i) || judged.tasks[i] != static_cast<Index>(t)) continue;
        texts.push_back(judged.texts[i]);
        labels.push_back(judged.labels[i]);
      }
      if (texts.empty()) continue;
      const std::vector<Output> outputs = learner_.predict_as(order[t], texts);
      for (std::size_t k = 0; k < outputs.size(); ++k) {
        right += learner_.backbone().is_correct(outputs[k], labels[k]) ? 1 : 0;
      }
    }
    return static_cast<double>(right) / static_cast<double>(judged.size());
  }

  void try_changes() {
    say("merging the pair and taking it back, archiving a department and restoring it");
    results_.trial.accuracy_before = end_to_end(measured_, names());
    try_merge();
    try_archive();
  }

  void try_merge() {
    TrialFigures& trial = results_.trial;
    const CorrectionFigures& pair = results_.correction;
    std::string both = pair.first + " + " + pair.second;
    while (learner_.router().find(both)) both += " merged";
    //! [merge]
    const MergeReport report = learner_.merge_tasks(pair.first, pair.second, both);
    for (const auto& [site, error] : report.relative_error) {
      trial.merge_error = std::max(trial.merge_error, error);
    }
    //! [merge]
    std::vector<std::string> order = results_.tasks;
    const auto first = std::find(order.begin(), order.end(), pair.first) - order.begin();
    const auto second = std::find(order.begin(), order.end(), pair.second) - order.begin();
    order[static_cast<std::size_t>(first)] = both;
    order.erase(order.begin() + second);
    Judged merged = measured_;
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (merged.tasks[i] == second) {  // its labels follow those of the first
        merged.labels[i] += static_cast<Index>(department(first).labels.size());
        merged.tasks[i] = first;
      } else if (merged.tasks[i] > second) {
        --merged.tasks[i];
      }
    }
    merged.decisions = decide(merged.texts, order);
    trial.accuracy_merged = end_to_end(merged, order);
    //! [undo]
    learner_.undo_merge(both);
    //! [undo]
    trial.undone = are_equal(decide(measured_.texts, names()), measured_.decisions);
  }

  /// Of the department that was asked least.
  void try_archive() {
    TrialFigures& trial = results_.trial;
    const auto usage = learner_.usage();
    const auto count_of = [&](Index t) {
      const auto found = usage.find(name(t));
      return found == usage.end() ? std::uint64_t{0} : found->second.count;
    };
    Index least = 0;
    for (Index t = 1; t < count(); ++t) least = count_of(t) < count_of(least) ? t : least;
    Judged own;
    own.add(department(least),
            options_.measured == "val" ? department(least).val : department(least).test, least);
    decide(own);
    const std::vector<RoutingDecision> before = own.decisions;
    learner_.archive_task(name(least));
    decide(own);
    trial.archived = name(least);
    trial.questions = static_cast<Index>(own.size());
    trial.went_on = std::count_if(own.decisions.begin(), own.decisions.end(),
                                  [&](const RoutingDecision& d) { return d.task == least; });
    learner_.restore_task(name(least));
    decide(own);
    trial.restored = are_equal(own.decisions, before);
  }

  struct LoraBytes {
    std::size_t all = 0;
    std::size_t least = 0;  ///< where each module is of rank 1
  };
  [[nodiscard]] LoraBytes lora_bytes() const {
    LoraBytes bytes;
    const auto snapshot = learner_.snapshot();
    for (const auto& handle : snapshot.handles()) {
      const std::shared_ptr<const Adapter<float>> adapter = handle->get();
      for (const auto& [site, module] : adapter->modules) {
        const auto of_a_rank =
            static_cast<std::size_t>(module.a().cols() + module.out_dim()) * sizeof(float);
        bytes.all += module.bytes();
        bytes.least += module.bytes() - static_cast<std::size_t>(module.rank() - 1) * of_a_rank;
      }
    }
    return bytes;
  }

  void consolidate() {
    say("consolidating the LoRA modules to half of their bytes");
    BudgetFigures& budget = results_.budget;
    const LoraBytes bytes = lora_bytes();  // departments of few questions may have rank 1 already
    budget.bytes_before = bytes.all;
    budget.accuracy_before = end_to_end(measured_, names());
    (void)learner_.consolidate(std::max(bytes.all / 2, bytes.least));
    budget.bytes_after = lora_bytes().all;
    budget.accuracy_after = end_to_end(measured_, names());
  }

  /// Sizes as they are here, in tens to ten thousands of departments.
  void foresee() {
    StorageShape& shape = results_.shape;
    shape = storage_shape(learner_);
    shape.log_bytes_a_query = log_bytes_a_query_;
    double text_bytes = 0;
    Index rows = 0;
    for (const Department& task : questions_.departments) {
      rows += static_cast<Index>(task.train.texts.size());
      for (const std::string& text : task.train.texts) {
        text_bytes += static_cast<double>(text.size());
      }
    }
    for (const Site& site : learner_.backbone().sites()) {
      shape.model_bytes += static_cast<double>(site.in * site.out) * sizeof(float);
    }
    shape.replay_row_bytes = text_bytes / static_cast<double>(rows);
    shape.replay_rows = static_cast<double>(rows) / static_cast<double>(count());
    add_costs();
    shape.queries = 365.25 * results_.costs.queries_a_day;
    results_.forecast = forecast_storage(shape);
    results_.watched = learner_.inspector()->report();
  }

  /// Prices are examples; the share of reviews is the one measured.
  void add_costs() {
    Index asked = 0;
    Index reviewed = 0;
    for (const OutcomeCounts& counts : results_.outcomes) {
      asked += counts.known + counts.outside;
      if (counts.outcome == "review") reviewed = counts.known + counts.outside;
    }
    results_.costs = {.disk_gb_month = 0.1,
                      .memory_gb_month = 3,
                      .queries_a_day = 10000,
                      .review_share = static_cast<double>(reviewed) / static_cast<double>(asked),
                      .review_cost = 0.5};
  }

  void verify() {
    say("verifying the audit log");
    const AuditVerification found = verify_audit_log(log_.folder(), log_.head());
    results_.log_lines = found.lines;
    results_.log_verified = found.ok() && log_.failed_writes() == 0;
    for (const std::string& warning : log_.warnings()) warn("the audit log: " + warning);
    if (found.first_break) results_.log_problem = found.first_break->what;
    if (log_.failed_writes() > 0) results_.log_problem = log_.last_error();
    if (!results_.log_verified && results_.log_problem.empty()) {
      results_.log_problem = "its lines are not those that were written";
    }
  }

  const Questions& questions_;
  const Options& options_;
  std::unique_ptr<support::TemporaryFolder>
      temporary_;  // null with --log; goes after the log is closed
  AuditLog log_;
  std::shared_ptr<ReviewQueue<std::string>> reviews_;
  Learner learner_;
  Results results_;
  Judged measured_;    // of the departments learned so far
  Judged validation_;  // of all departments
  double log_bytes_a_query_ = 0;
};

}  // namespace

Results run(const Questions& questions, const Options& options) {
  return Run(questions, options).run();
}

}  // namespace operations
