// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The training loop of one adapter on a frozen backbone. Of every mini-batch of a shuffled epoch:
///
///   loss, g = loss_and_gradient(trunk rows, targets, adapter)
///   g  clipped to clip_norm          adapter <- AdamW(adapter, g, rate of the step)
///
/// A share of the rows can be set aside: the adapter of the epoch that answers most of them right
/// is what remains, and training stops when epochs bring nothing better. The trunk is computed once
/// by the caller; the backbone is never written, and the adapter only changes on success.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/progress.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/train/adamw.hpp"
#include "anyssr/train/mini_batches.hpp"
#include "anyssr/train/schedule.hpp"

namespace anyssr::inline v0 {

struct TrainOptions {
  int epochs = 20;                       ///< at least 0; 0 trains nothing
  Index batch = 64;                      ///< rows a step, at least 1
  double rate = 1e-2;                    ///< above 0
  Schedule schedule = Schedule::linear;  ///< over all steps of all epochs
  double warmup = 0;                     ///< share of the steps, [0, 1)
  double weight_decay = 0;               ///< at least 0, decoupled
  double clip_norm = 0;                  ///< largest norm of the gradient; 0: not clipped
  double validation_share = 0;           ///< share of the rows set aside, [0, 1); 0: none
  int patience = 0;  ///< epochs without a better validation accuracy before stopping; 0: never stop
  std::uint64_t seed = 0;  ///< of the split and the shuffles
};

struct TrainReport {
  int epochs_run = 0;
  Index steps = 0;
  double final_loss = 0;                      ///< mean training loss of the last epoch that ran
  std::vector<double> losses;                 ///< mean training loss of each epoch
  std::vector<double> validation_accuracies;  ///< after each epoch; empty without validation
  std::optional<double> best_accuracy;        ///< the largest of them
  int best_epoch = 0;  ///< 0-based, the epoch whose adapter was kept: the first of the best
  double seconds = 0;
};

namespace detail {

inline void expect_train_options(const TrainOptions& options) {
  expect(options.epochs >= 0, "epochs is ", options.epochs, ", expected at least 0");
  expect(options.batch >= 1, "batch is ", options.batch, ", expected at least 1");
  expect_positive("rate", options.rate);
  expect(options.warmup >= 0 && options.warmup < 1, "warmup is ", options.warmup,
         ", expected at least 0 and below 1");
  expect(std::isfinite(options.clip_norm) && options.clip_norm >= 0, "clip_norm is ",
         options.clip_norm, ", expected 0 (off) or a finite number above 0");
  expect(options.validation_share >= 0 && options.validation_share < 1, "validation_share is ",
         options.validation_share, ", expected at least 0 and below 1");
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

/// The rows to train on and those set aside.
template <AdaptableBackbone B>
[[nodiscard]] RowSplit split_rows(const B& backbone, std::span<const typename B::Target> targets,
                                  const TrainOptions& options) {
  const auto count = static_cast<Index>(targets.size());
  if (options.validation_share > 0) {
    std::vector<Index> labels;
    if constexpr (HasLabels<B>) labels = labels_of(backbone, targets);
    return validation_split(count, options.validation_share, options.seed, labels);
  }
  RowSplit split;
  split.training.resize(targets.size());
  std::iota(split.training.begin(), split.training.end(), Index{0});
  return split;
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
    total_ = options.epochs * ((rows - 1) / options.batch + 1);
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
      const double accuracy = validate();
      report.validation_accuracies.push_back(accuracy);
      if (!best || accuracy > *report.best_accuracy) {
        report.best_accuracy = accuracy;
        report.best_epoch = epoch;
        best = adapter_;
      } else if (options_.patience > 0 && epoch - report.best_epoch >= options_.patience) {
        break;
      }
    }
    if (!best) report.best_epoch = std::max(0, report.epochs_run - 1);
    report.steps = step_;
    report.final_loss = report.losses.empty() ? 0 : report.losses.back();
    report.seconds = seconds();
    return best ? *std::move(best) : std::move(adapter_);
  }

 private:
  /// Mean loss over the epoch's rows.
  double run_epoch(std::uint64_t epoch) {
    const MiniBatches batches(static_cast<Index>(split_.training.size()), options_.batch,
                              options_.seed, epoch);
    double sum = 0;
    for (Index i = 0; i < batches.size(); ++i) {
      report_progress();
      std::vector<Index> rows;
      for (const Index k : batches[i]) rows.push_back(split_.training[static_cast<std::size_t>(k)]);
      const std::vector<Target> targets = select_targets(targets_, rows);
      loss_ =
          backbone_.loss_and_gradient(backbone_.select(trunk_, rows), targets, adapter_, gradient_);
      sum += loss_ * static_cast<double>(rows.size());
      step_down();
    }
    report_progress();
    expect_sound(adapter_.is_finite(), "adapter");
    return sum / static_cast<double>(batches.count());
  }

  void step_down() {
    expect_sound(std::isfinite(loss_), "loss");
    const double norm = options_.clip_norm > 0 ? clip_gradient(gradient_, options_.clip_norm)
                                               : gradient_norm(gradient_);
    expect_sound(std::isfinite(norm), "gradient");
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

  /// Share of the rows set aside that the adapter answers right.
  [[nodiscard]] double validate() const {
    const std::vector<AdapterMix<S>> mixes(validation_targets_.size(), AdapterMix<S>(adapter_));
    const auto outputs = backbone_.forward(*validation_trunk_, mixes, typename B::PredictOptions{});
    expect_count("outputs", outputs.size(), static_cast<Index>(mixes.size()));
    Index right = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (backbone_.is_correct(outputs[i], validation_targets_[i])) ++right;
    }
    return static_cast<double>(right) / static_cast<double>(outputs.size());
  }

  void report_progress() const {
    if (!progress_) return;
    const double left =
        step_ == 0 ? 0
                   : seconds() * static_cast<double>(total_ - step_) / static_cast<double>(step_);
    report(progress_, {"train", step_, total_, loss_, left});
  }

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  const B& backbone_;
  const typename B::Trunk& trunk_;
  std::span<const Target> targets_;
  const TrainOptions& options_;
  const ProgressCallback& progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  RowSplit split_;
  std::optional<typename B::Trunk> validation_trunk_;
  std::vector<Target> validation_targets_;
  Adapter<S> adapter_;
  AdapterGradient<S> gradient_;
  AdamW<S> optimiser_;
  Index step_ = 0;   // steps done
  Index total_ = 0;  // steps of all epochs
  double loss_ = 0;  // of the last batch
};

}  // namespace detail

/// Trains an adapter in place. An adapter without trained numbers (no modules, closed-form heads
/// only) stays as it is. The same arguments give the same bits.
/// @param trunk    one row a target: make_training_trunk
/// @param targets  at least one
/// @param adapter  from make_adapter, or one to train on
/// @param progress called before every step and after every epoch; stage "train", in steps
/// @throws ShapeError, ArgumentError  bad arguments
/// @throws NumericalError  loss, gradient or adapter is no longer finite
/// @throws Cancelled       the callback returned false
///         The adapter is untouched by whatever throws.
/// Cost: a copy of the adapter (two with validation), its gradient and two moments.
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
  detail::AdapterTraining<B> training(backbone, trunk, targets, adapter, options, progress);
  Adapter<typename B::Scalar> trained = training.run(report);
  adapter = std::move(trained);
  return report;
}

}  // namespace anyssr::inline v0
