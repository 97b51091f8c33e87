// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The options of a learner in a manifest. Every key has its default, so that a manifest of an
/// older version means what it meant; threads are a matter of the machine and are not kept.

#include <array>
#include <string>
#include <string_view>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/learner/learner_options.hpp"

namespace anyssr::inline v0::detail {

inline constexpr std::array<EnumName<RidgeScale>, 2> ridge_scale_names{
    {{RidgeScale::relative, "relative"}, {RidgeScale::absolute, "absolute"}}};
inline constexpr std::array<EnumName<Schedule>, 3> schedule_names{
    {{Schedule::constant, "constant"}, {Schedule::linear, "linear"}, {Schedule::cosine, "cosine"}}};
inline constexpr std::array<EnumName<SubspaceChoice>, 3> subspace_choice_names{
    {{SubspaceChoice::none, "none"},
     {SubspaceChoice::own, "own"},
     {SubspaceChoice::complement, "complement"}}};
inline constexpr std::array<EnumName<SubspaceMethod>, 3> subspace_method_names{
    {{SubspaceMethod::automatic, "automatic"},
     {SubspaceMethod::exact, "exact"},
     {SubspaceMethod::randomised, "randomised"}}};

/// Reads members where they are there.
class OptionReader {
 public:
  explicit OptionReader(const JsonFields& fields) : fields_(fields) {}

  void read(std::string_view key, double& value) const {
    if (fields_.has(key)) value = fields_.number(key);
  }
  void read(std::string_view key, bool& value) const {
    if (fields_.has(key)) value = fields_.boolean(key);
  }
  void read(std::string_view key, Index& value) const {
    if (fields_.has(key)) value = fields_.index(key);
  }
  void read(std::string_view key, int& value) const {
    if (fields_.has(key)) value = static_cast<int>(fields_.count(key, 1000000000));
  }
  void read_seed(std::string_view key, std::uint64_t& value) const {
    if (fields_.has(key)) value = fields_.word(key);
  }
  template <class Enum, std::size_t N>
  void read(std::string_view key, Enum& value, const std::array<EnumName<Enum>, N>& names) const {
    if (!fields_.has(key)) return;
    for (const EnumName<Enum>& entry : names) {
      if (entry.second == fields_.text(key)) {
        value = entry.first;
        return;
      }
    }
    std::string known;
    for (const EnumName<Enum>& entry : names) {
      known += (known.empty() ? "" : ", ") + std::string(entry.second);
    }
    fields_.refuse(key, "one of " + known);
  }
  /// Calls f(reader of the member).
  template <class F>
  void section(std::string_view key, const F& f) const {
    if (!fields_.has(key)) return;
    const JsonFields inner = fields_.object(key);
    f(OptionReader(inner));
  }
  [[nodiscard]] const JsonFields& fields() const noexcept { return fields_; }

 private:
  const JsonFields& fields_;
};

[[nodiscard]] inline Json router_options_json(const RouterOptions& options) {
  const ExpansionOptions& expansion = options.expansion;
  return {{"expansion",
           {{"kind", to_string(expansion.kind)},
            {"dim", expansion.dim},
            {"activation", to_string(expansion.activation)},
            {"bandwidth", expansion.bandwidth},
            {"bias_scale", expansion.bias_scale},
            {"seed", word_text(expansion.seed)}}},
          {"rls",
           {{"form", "information"},
            {"ridge", options.rls.ridge},
            {"ridge_scale",
             name_of<RidgeScale>("ridge scale", options.rls.ridge_scale, ridge_scale_names)}}},
          {"label_columns", options.label_columns},
          {"label_weight", options.label_weight},
          {"balanced", options.balanced},
          {"calibration_rows", options.calibration_rows},
          {"rollback_copy", options.rollback_copy}};
}

[[nodiscard]] inline Json learner_options_json(const LearnerOptions& options) {
  const TrainOptions& train = options.train;
  const SubspaceOptions& fit = options.subspace_fit;
  const LiftOptions& lift = options.lift;
  return {
      {"router", router_options_json(options.router)},
      {"adapter",
       {{"rank", options.adapter.lora.rank},
        {"alpha", options.adapter.lora.alpha},
        {"rank_stabilised", options.adapter.lora.rank_stabilised},
        {"sites", options.adapter.sites}}},
      {"train",
       {{"epochs", train.epochs},
        {"batch", train.batch},
        {"rate", train.rate},
        {"schedule", name_of<Schedule>("schedule", train.schedule, schedule_names)},
        {"warmup", train.warmup},
        {"weight_decay", train.weight_decay},
        {"clip_norm", train.clip_norm},
        {"validation_share", train.validation_share},
        {"patience", train.patience}}},
      {"subspace", name_of<SubspaceChoice>("subspace", options.subspace, subspace_choice_names)},
      {"subspace_fit",
       {{"rank", fit.rank},
        {"energy", fit.energy},
        {"method", name_of<SubspaceMethod>("method", fit.method, subspace_method_names)},
        {"power_iterations", fit.power_iterations},
        {"oversampling", fit.oversampling},
        {"seed", word_text(fit.seed)}}},
      {"lift",
       {{"dim", lift.dim},
        {"activation", to_string(lift.activation)},
        {"gain", lift.gain},
        {"label_smoothing", lift.label_smoothing},
        {"closed_form_head", lift.closed_form_head},
        {"closed_form_ridge", lift.closed_form_ridge},
        {"seed", word_text(lift.seed)}}},
      {"seed", word_text(options.seed)}};
}

inline void read_router_options(const OptionReader& in, RouterOptions& options) {
  in.section("expansion", [&](const OptionReader& expansion) {
    expansion.read("kind", options.expansion.kind, expansion_kind_names);
    expansion.read("dim", options.expansion.dim);
    expansion.read("activation", options.expansion.activation, activation_names);
    expansion.read("bandwidth", options.expansion.bandwidth);
    expansion.read("bias_scale", options.expansion.bias_scale);
    expansion.read_seed("seed", options.expansion.seed);
  });
  in.section("rls", [&](const OptionReader& rls) {
    if (rls.fields().has("form") && rls.fields().text("form") != "information") {
      rls.fields().refuse("form", "information, the one that a router learns by");
    }
    rls.read("ridge", options.rls.ridge);
    rls.read("ridge_scale", options.rls.ridge_scale, ridge_scale_names);
  });
  in.read("label_columns", options.label_columns);
  in.read("label_weight", options.label_weight);
  in.read("balanced", options.balanced);
  in.read("calibration_rows", options.calibration_rows);
  in.read("rollback_copy", options.rollback_copy);
}

inline void read_adapter_options(const OptionReader& in, AdapterOptions& options) {
  in.read("rank", options.lora.rank);
  in.read("alpha", options.lora.alpha);
  in.read("rank_stabilised", options.lora.rank_stabilised);
  if (!in.fields().has("sites")) return;
  in.fields().for_each("sites", [&](const Json& site, const std::string& place) {
    expect<FormatError>(site.is_string(), place, ": is ", site.dump(), ", expected a string");
    options.sites.push_back(site.get<std::string>());
  });
}

/// @param place  for messages
/// @throws FormatError  for a value of another kind or name; values out of range are refused by who
///         takes the options
[[nodiscard]] inline LearnerOptions parse_learner_options(const Json& json,
                                                          const std::string& place) {
  LearnerOptions options;
  const JsonFields fields(json, place);
  const OptionReader in(fields);
  in.section("router", [&](const OptionReader& r) { read_router_options(r, options.router); });
  in.section("adapter", [&](const OptionReader& a) { read_adapter_options(a, options.adapter); });
  in.section("train", [&](const OptionReader& train) {
    train.read("epochs", options.train.epochs);
    train.read("batch", options.train.batch);
    train.read("rate", options.train.rate);
    train.read("schedule", options.train.schedule, schedule_names);
    train.read("warmup", options.train.warmup);
    train.read("weight_decay", options.train.weight_decay);
    train.read("clip_norm", options.train.clip_norm);
    train.read("validation_share", options.train.validation_share);
    train.read("patience", options.train.patience);
  });
  in.read("subspace", options.subspace, subspace_choice_names);
  in.section("subspace_fit", [&](const OptionReader& fit) {
    fit.read("rank", options.subspace_fit.rank);
    fit.read("energy", options.subspace_fit.energy);
    fit.read("method", options.subspace_fit.method, subspace_method_names);
    fit.read("power_iterations", options.subspace_fit.power_iterations);
    fit.read("oversampling", options.subspace_fit.oversampling);
    fit.read_seed("seed", options.subspace_fit.seed);
  });
  in.section("lift", [&](const OptionReader& lift) {
    lift.read("dim", options.lift.dim);
    lift.read("activation", options.lift.activation, activation_names);
    lift.read("gain", options.lift.gain);
    lift.read("label_smoothing", options.lift.label_smoothing);
    lift.read("closed_form_head", options.lift.closed_form_head);
    lift.read("closed_form_ridge", options.lift.closed_form_ridge);
    lift.read_seed("seed", options.lift.seed);
  });
  in.read_seed("seed", options.seed);
  return options;
}

}  // namespace anyssr::inline v0::detail
