// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The training loop of one adapter on a frozen backbone. Of every step, which takes the next
/// `accumulation` mini-batches m of a shuffled epoch:
///
///   loss_m, g_m = loss_and_gradient(trunk rows, targets, adapter)
///   g = sum_m w_m g_m / sum_m w_m        w_m = rows of m, or the backbone's loss_weight
///   g clipped to clip_norm               adapter <- AdamW(adapter, g, rate of the step)
///
/// So a step equals that of one batch of all its rows to round-off, while the activations of one
/// mini-batch alone are in memory.
///
/// A share of the rows can be set aside: the adapter of the epoch that answers them best is what
/// remains, and training stops when epochs bring nothing better. The trunk is computed once by the
/// caller; the backbone is never written, and the adapter only changes on success.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/progress.hpp"
#include "anyssr/core/stopwatch.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "anyssr/train/adamw.hpp"
#include "anyssr/train/mini_batches.hpp"
#include "anyssr/train/schedule.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct TrainOptions {
  int epochs = 20;                       ///< at least 0; 0 trains nothing
  Index batch = 64;                      ///< rows a mini-batch, at least 1
  Index accumulation = 1;                ///< mini-batches a step, at least 1
  double rate = 1e-2;                    ///< above 0
  Schedule schedule = Schedule::linear;  ///< over all steps of all epochs
  double warmup = 0;                     ///< share of the steps, [0, 1)
  double weight_decay = 0;               ///< at least 0, decoupled
  double clip_norm = 0;                  ///< largest norm of the gradient; 0: not clipped
  double validation_share = 0;           ///< share of the rows set aside, [0, 1); 0: none. All
                                         ///< rows are trained on where no label has a second one
  int patience = 0;        ///< epochs without a better validation score before stopping; 0: never
  std::uint64_t seed = 0;  ///< of the split and the shuffles
};

struct TrainReport {
  int epochs_run = 0;
  Index steps = 0;
  double final_loss = 0;       ///< mean training loss of the last epoch that ran
  std::vector<double> losses;  ///< mean training loss of each epoch
  /// Mean score_of of the rows set aside, after each epoch: the share of right answers where the
  /// backbone has no score of its own. Empty without validation.
  std::vector<double> validation_scores;
  std::optional<double> best_score;  ///< the largest of them
  int best_epoch = 0;  ///< 0-based, the epoch whose adapter was kept: the first of the best
  double seconds = 0;
  double per_second = 0;  ///< work (HasWork; tokens) a second, validation left out; 0: not counted
};

namespace detail {

inline void expect_train_options(const TrainOptions& options) {
  expect(options.epochs >= 0, "epochs is ", options.epochs, ", expected at least 0");
  expect(options.batch >= 1, "batch is ", options.batch, ", expected at least 1");
  expect(options.accumulation >= 1, "accumulation is ", options.accumulation,
         ", expected at least 1");
  expect_positive("rate", options.rate);
  expect(is_finite(options.warmup) && options.warmup >= 0 && options.warmup < 1, "warmup is ",
         options.warmup, ", expected at least 0 and below 1");
  expect(is_finite(options.clip_norm) && options.clip_norm >= 0, "clip_norm is ", options.clip_norm,
         ", expected 0 (off) or a finite number above 0");
  expect(is_finite(options.validation_share) && options.validation_share >= 0 &&
             options.validation_share < 1,
         "validation_share is ", options.validation_share, ", expected at least 0 and below 1");
  expect(options.patience >= 0, "patience is ", options.patience, ", expected at least 0");
  expect(options.patience == 0 || options.validation_share > 0, "patience is ", options.patience,
         " with validation_share 0, expected a share above 0 to judge epochs by");
}

template <class Target>
[[nodiscard]] std::vector<Target> select_targets(std::span<const Target> targets,
                                                 std::span<const Index> rows) {
  std::vector<Target> chosen;
  chosen.reserve(rows.size());
  for (const Index row : rows) chosen.push_back(targets[static_cast<std::size_t>(row)]);
  return chosen;
}

/// Whether a row can be set aside and each label still has one to train on.
[[nodiscard]] inline bool can_set_aside(Index count, std::vector<Index> labels) {
  if (labels.empty()) return count > 1;
  std::ranges::sort(labels);
  return std::ranges::adjacent_find(labels) != labels.end();
}

/// The rows to train on and those set aside.
template <AdaptableBackbone B>
[[nodiscard]] RowSplit split_rows(const B& backbone, std::span<const typename B::Target> targets,
                                  const TrainOptions& options) {
  const auto count = static_cast<Index>(targets.size());
  std::vector<Index> labels;
  if constexpr (HasLabels<B>) labels = labels_of(backbone, targets);
  if (options.validation_share > 0 && can_set_aside(count, labels)) {
    return validation_split(count, options.validation_share, options.seed, labels);
  }
  RowSplit split;
  split.training.resize(targets.size());
  std::iota(split.training.begin(), split.training.end(), Index{0});
  return split;
}

/// mean <- mean + share * (gradient - mean)
template <RealScalar S>
void move_mean(AdapterGradient<S>& mean, const AdapterGradient<S>& gradient, double share) {
  std::vector<Eigen::Map<const Matrix<S>>> blocks;
  for_each_block(gradient, [&](const auto& block) { blocks.push_back(block); });
  std::size_t i = 0;
  for_each_block(mean, [&](auto block) {
    block += static_cast<S>(share) * (blocks[i] - block);
    ++i;
  });
}

/// What a mini-batch weighs in its step.
template <AdaptableBackbone B>
[[nodiscard]] double weight_of(const B& backbone, const typename B::Trunk& trunk,
                               std::span<const typename B::Target> targets) {
  if constexpr (HasLossWeight<B>) {
    const double weight = backbone.loss_weight(trunk, targets);
    expect(is_finite(weight) && weight > 0, "loss_weight of a mini-batch is ", weight,
           ", expected a finite number above 0 from the backbone");
    return weight;
  } else {
    return static_cast<double>(targets.size());
  }
}

/// One training run: a working copy of the adapter and all that changes with it.
template <AdaptableBackbone B>
class AdapterTraining {
  using S = typename B::Scalar;
  using Target = typename B::Target;

 public:
  AdapterTraining(const B& backbone, const typename B::Trunk& trunk,
                  std::span<const Target> targets, const Adapter<S>& adapter,
                  const TrainOptions& options, const ProgressCallback& progress)
      : backbone_(backbone),
        trunk_(trunk),
        targets_(targets),
        options_(options),
        progress_(progress),
        split_(split_rows(backbone, targets, options)),
        adapter_(adapter),
        gradient_(zero_like(adapter)),
        optimiser_({.weight_decay = options.weight_decay}) {
    const auto rows = static_cast<Index>(split_.training.size());
    const Index batches = (rows - 1) / options.batch + 1;
    total_batches_ = options.epochs * batches;
    total_ = options.epochs * ((batches - 1) / options.accumulation + 1);
    if (options.accumulation > 1) further_ = gradient_;
    if constexpr (PreparesTraining<B>) prepared_ = backbone.prepare(trunk, adapter);
    if (split_.validation.empty()) return;
    validation_trunk_.emplace(backbone.select(trunk, split_.validation));
    validation_targets_ = select_targets(targets, split_.validation);
  }

  /// The trained adapter; fills the report.
  [[nodiscard]] Adapter<S> run(TrainReport& report) {
    std::optional<Adapter<S>> best;
    for (int epoch = 0; epoch < options_.epochs; ++epoch) {
      report.losses.push_back(run_epoch(static_cast<std::uint64_t>(epoch)));
      report.epochs_run = epoch + 1;
      if (!validation_trunk_) continue;
      const double score = validate();
      report.validation_scores.push_back(score);
      if (!best || score > *report.best_score) {
        report.best_score = score;
        report.best_epoch = epoch;
        best = adapter_;
      } else if (options_.patience > 0 && epoch - report.best_epoch >= options_.patience) {
        break;
      }
    }
    if (!best) report.best_epoch = std::max(0, report.epochs_run - 1);
    report.steps = step_;
    report.final_loss = report.losses.empty() ? 0 : report.losses.back();
    report.seconds = watch_.seconds();
    report.per_second = per_second();
    return best ? *std::move(best) : std::move(adapter_);
  }

 private:
  /// Mean loss over the epoch's rows.
  double run_epoch(std::uint64_t epoch) {
    const Stopwatch watch;
    const double trained_before = trained_seconds_;
    const MiniBatches batches(static_cast<Index>(split_.training.size()), options_.batch,
                              options_.seed, epoch);
    double sum = 0;
    double weights = 0;
    for (Index first = 0; first < batches.size();) {
      const Index end = first + std::min(options_.accumulation, batches.size() - first);
      double weight = 0;  // of the step
      for (Index i = first; i < end; ++i) {
        report_progress();
        weight += accumulate(batches[i], weight);
        ++batches_;
        trained_seconds_ = trained_before + watch.seconds();
      }
      step_down();
      sum += weight * loss_;
      weights += weight;
      first = end;
    }
    trained_seconds_ = trained_before + watch.seconds();
    report_progress();
    expect_sound(adapter_.is_finite(), "adapter");
    return sum / weights;
  }

  /// Takes a mini-batch into the mean loss and gradient of the step.
  /// @param picked  numbers of training rows
  /// @param before  the weight of what the step has so far
  /// @return the weight of the mini-batch
  double accumulate(std::span<const Index> picked, double before) {
    std::vector<Index> rows;
    rows.reserve(picked.size());
    for (const Index k : picked) rows.push_back(split_.training[static_cast<std::size_t>(k)]);
    const std::vector<Target> targets = select_targets(targets_, rows);
    const typename B::Trunk trunk = select(rows);
    const double weight = weight_of<B>(backbone_, trunk, targets);
    AdapterGradient<S>& gradient = before == 0 ? gradient_ : further_;
    const double loss = backbone_.loss_and_gradient(trunk, targets, adapter_, gradient);
    expect_sound(is_finite(loss), "loss");
    expect_matching(adapter_, gradient);
    if (before == 0) {
      loss_ = loss;
    } else {
      const double share = weight / (before + weight);
      loss_ += share * (loss - loss_);
      move_mean(gradient_, further_, share);
    }
    if constexpr (HasWork<B>) work_ += static_cast<double>(backbone_.work(trunk));
    return weight;
  }

  [[nodiscard]] typename B::Trunk select(std::span<const Index> rows) const {
    if constexpr (PreparesTraining<B>) {
      return backbone_.select(trunk_, rows, prepared_);
    } else {
      return backbone_.select(trunk_, rows);
    }
  }

  void step_down() {
    const double norm = options_.clip_norm > 0 ? clip_gradient(gradient_, options_.clip_norm)
                                               : gradient_norm(gradient_);
    expect_sound(is_finite(norm), "gradient");
    const ScheduleOptions schedule{options_.rate, options_.schedule, options_.warmup};
    optimiser_.step(adapter_, gradient_, rate_at(step_, total_, schedule));
    ++step_;
  }

  void expect_sound(bool is_sound, std::string_view what) const {
    expect<NumericalError>(
        is_sound, "the ", what, " is not finite at training step ", step_,
        ", expected finite numbers; the adapter was not changed: lower the rate (", options_.rate,
        ") or set clip_norm");
  }

  /// Mean score of the adapter's answers to the rows set aside.
  [[nodiscard]] double validate() const {
    const std::vector<AdapterMix<S>> mixes(validation_targets_.size(), AdapterMix<S>(adapter_));
    const auto outputs = backbone_.forward(*validation_trunk_, mixes, typename B::PredictOptions{});
    expect_count("outputs", outputs.size(), static_cast<Index>(mixes.size()));
    double sum = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      sum += score_of(backbone_, outputs[i], validation_targets_[i]);
    }
    return sum / static_cast<double>(outputs.size());
  }

  void report_progress() const {
    if (!progress_) return;
    const double left = batches_ == 0
                            ? 0
                            : watch_.seconds() * static_cast<double>(total_batches_ - batches_) /
                                  static_cast<double>(batches_);
    report(progress_, {.stage = "train",
                       .done = step_,
                       .total = total_,
                       .loss = loss_,
                       .seconds_left = left,
                       .per_second = per_second()});
  }

  [[nodiscard]] double per_second() const {
    return trained_seconds_ > 0 ? work_ / trained_seconds_ : 0;
  }

  const B& backbone_;
  const typename B::Trunk& trunk_;
  std::span<const Target> targets_;
  const TrainOptions& options_;
  const ProgressCallback& progress_;
  Stopwatch watch_;
  RowSplit split_;
  typename PreparedOf<B>::type prepared_ = {};
  std::optional<typename B::Trunk> validation_trunk_;
  std::vector<Target> validation_targets_;
  Adapter<S> adapter_;
  AdapterGradient<S> gradient_;  // mean of the step's mini-batches so far
  AdapterGradient<S> further_;   // of one that is not the first of its step
  AdamW<S> optimiser_;
  Index step_ = 0;              // steps done
  Index total_ = 0;             // steps of all epochs
  Index batches_ = 0;           // mini-batches done
  Index total_batches_ = 0;     // mini-batches of all epochs
  double loss_ = 0;             // mean of the last step's mini-batches so far
  double work_ = 0;             // of the mini-batches done
  double trained_seconds_ = 0;  // without validation
};

}  // namespace detail

/// Trains an adapter in place. An adapter without trained numbers (no modules, closed-form heads
/// only) stays as it is. The same arguments give the same bits.
/// @param trunk    one row a target: make_training_trunk
/// @param targets  at least one
/// @param adapter  from make_adapter, or one to train on
/// @param progress called before every mini-batch and after every epoch; stage "train", in steps
/// @throws ShapeError, ArgumentError  bad arguments; a backbone's score or loss_weight out of range
/// @throws NumericalError  loss, gradient or adapter is no longer finite
/// @throws Cancelled       the callback returned false
///         The adapter is untouched by whatever throws.
/// Cost: a copy of the adapter (two with validation), its gradient (two with accumulation) and two
/// moments.
template <AdaptableBackbone B>
TrainReport train_adapter(const B& backbone, const typename B::Trunk& trunk,
                          std::span<const typename B::Target> targets,
                          Adapter<typename B::Scalar>& adapter, const TrainOptions& options = {},
                          const ProgressCallback& progress = {}) {
  detail::expect_train_options(options);
  detail::expect_count("targets", targets.size(), static_cast<Index>(backbone.rows(trunk)));
  detail::expect(!targets.empty(), "targets are empty, expected at least one row to train on");
  detail::expect(adapter.is_finite(), "adapter holds NaN or infinity, expected finite numbers");
  TrainReport report;
  const AdapterGradient<typename B::Scalar> shapes = zero_like(adapter);
  if (shapes.modules.empty() && shapes.heads.empty()) return report;
  const detail::SerialEigen serial;
  detail::AdapterTraining<B> training(backbone, trunk, targets, adapter, options, progress);
  Adapter<typename B::Scalar> trained = training.run(report);
  adapter = std::move(trained);
  return report;
}

}  // namespace anyssr::inline ANYSSR_ABI
