// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The options of a learner in a manifest: one list of keys for writing and reading. Every key has
/// its default, so that a manifest of an older version means what it meant; threads are a matter of
/// the machine and are not kept.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/learner/learner_options.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Puts options into an object.
class OptionWriter {
 public:
  explicit OptionWriter(Json& json) : json_(json) {}

  template <class T>
  void field(const std::string& key, const T& value) {
    json_[key] = value;
  }
  void seed(const std::string& key, std::uint64_t value) { json_[key] = word_text(value); }
  template <class Enum>
  void name(const std::string& key, Enum value) {
    json_[key] = to_string(value);
  }
  template <class F>
  void section(const std::string& key, const F& f) {
    Json inner = Json::object();
    OptionWriter writer(inner);
    f(writer);
    json_[key] = std::move(inner);
  }
  /// A section that is there where the options are.
  template <class T, class F>
  void optional_section(const std::string& key, const std::optional<T>& options, const F& f) {
    if (options) section(key, [&](auto& writer) { f(writer, *options); });
  }

 private:
  Json& json_;
};

/// Takes options from an object, where they are there.
class OptionReader {
 public:
  explicit OptionReader(const JsonFields& fields) : fields_(fields) {}

  void field(const std::string& key, double& value) {
    if (fields_.has(key)) value = fields_.number(key);
  }
  void field(const std::string& key, bool& value) {
    if (fields_.has(key)) value = fields_.boolean(key);
  }
  void field(const std::string& key, Index& value) {
    if (fields_.has(key)) value = fields_.index(key);
  }
  void field(const std::string& key, int& value) {
    if (fields_.has(key)) value = static_cast<int>(fields_.count(key, 1000000000));
  }
  void field(const std::string& key, std::vector<std::string>& texts) {
    if (!fields_.has(key)) return;
    texts.clear();
    fields_.for_each(key, [&](const Json& text, const std::string& place) {
      expect<FormatError>(text.is_string(), place, ": is ", text.dump(), ", expected a string");
      texts.push_back(text.get<std::string>());
    });
  }
  void seed(const std::string& key, std::uint64_t& value) {
    if (fields_.has(key)) value = fields_.word(key);
  }
  template <class Enum>
  void name(const std::string& key, Enum& value) {
    if (fields_.has(key)) value = enumerator<Enum>(fields_, key);
  }
  template <class F>
  void section(const std::string& key, const F& f) {
    if (!fields_.has(key)) return;
    const JsonFields inner = fields_.object(key);
    OptionReader reader(inner);
    f(reader);
  }
  template <class T, class F>
  void optional_section(const std::string& key, std::optional<T>& options, const F& f) {
    options.reset();
    if (!fields_.has(key)) return;
    options.emplace();
    section(key, [&](auto& reader) { f(reader, *options); });
  }

 private:
  const JsonFields& fields_;
};

template <class Visitor, class Options>
void visit_router_options(Visitor& visitor, Options& options) {
  visitor.section("expansion", [&](auto& expansion) {
    expansion.name("kind", options.expansion.kind);
    expansion.field("dim", options.expansion.dim);
    expansion.name("activation", options.expansion.activation);
    expansion.field("bandwidth", options.expansion.bandwidth);
    expansion.field("bias_scale", options.expansion.bias_scale);
    expansion.seed("seed", options.expansion.seed);
  });
  visitor.section("rls", [&](auto& rls) {
    rls.field("ridge", options.rls.ridge);
    rls.name("ridge_scale", options.rls.ridge_scale);
  });
  visitor.field("label_columns", options.label_columns);
  visitor.field("label_weight", options.label_weight);
  visitor.field("balanced", options.balanced);
  visitor.section("novelty", [&](auto& novelty) {
    novelty.name("mode", options.novelty.mode);
    novelty.field("leverage_weight", options.novelty.leverage_weight);
  });
  visitor.field("calibration_rows", options.calibration_rows);
  visitor.field("rollback_copy", options.rollback_copy);
}

template <class Visitor, class Options>
void visit_inspector_options(Visitor& visitor, Options& options) {
  visitor.field("sketch", options.sketch);
  visitor.seed("seed", options.seed);
  visitor.field("window_seconds", options.window_seconds);
  visitor.field("max_windows", options.max_windows);
  visitor.field("now_windows", options.now_windows);
  visitor.section("drift", [&](auto& drift) {
    drift.field("alarm_p", options.drift.alarm_p);
    drift.field("smallest_shift", options.drift.smallest_shift);
    drift.field("smallest_share_shift", options.drift.smallest_share_shift);
    drift.field("min_rows", options.drift.min_rows);
  });
  visitor.section("balance", [&](auto& balance) {
    balance.field("largest_label_share", options.balance.largest_label_share);
    balance.field("fewest_label_rows", options.balance.fewest_label_rows);
    balance.field("largest_task_share", options.balance.largest_task_share);
    balance.field("smallest_task_share", options.balance.smallest_task_share);
    balance.field("min_rows", options.balance.min_rows);
  });
  visitor.field("min_group_rows", options.min_group_rows);
}

/// Calls the visitor with the key and place of every option.
/// @param options  a LearnerOptions, const for a writer
template <class Visitor, class Options>
void visit_learner_options(Visitor& visitor, Options& options) {
  visitor.section("router", [&](auto& router) { visit_router_options(router, options.router); });
  visitor.section("adapter", [&](auto& adapter) {
    adapter.field("rank", options.adapter.lora.rank);
    adapter.field("alpha", options.adapter.lora.alpha);
    adapter.field("rank_stabilised", options.adapter.lora.rank_stabilised);
    adapter.field("sites", options.adapter.sites);
  });
  visitor.section("train", [&](auto& train) {
    train.field("epochs", options.train.epochs);
    train.field("batch", options.train.batch);
    train.field("accumulation", options.train.accumulation);
    train.field("rate", options.train.rate);
    train.name("schedule", options.train.schedule);
    train.field("warmup", options.train.warmup);
    train.field("weight_decay", options.train.weight_decay);
    train.field("clip_norm", options.train.clip_norm);
    train.field("validation_share", options.train.validation_share);
    train.field("patience", options.train.patience);
  });
  visitor.name("subspace", options.subspace);
  visitor.section("subspace_fit", [&](auto& fit) {
    fit.field("rank", options.subspace_fit.rank);
    fit.field("energy", options.subspace_fit.energy);
    fit.name("method", options.subspace_fit.method);
    fit.field("power_iterations", options.subspace_fit.power_iterations);
    fit.field("oversampling", options.subspace_fit.oversampling);
    fit.seed("seed", options.subspace_fit.seed);
  });
  visitor.section("lift", [&](auto& lift) {
    lift.field("dim", options.lift.dim);
    lift.name("activation", options.lift.activation);
    lift.field("gain", options.lift.gain);
    lift.field("label_smoothing", options.lift.label_smoothing);
    lift.field("closed_form_head", options.lift.closed_form_head);
    lift.field("closed_form_ridge", options.lift.closed_form_ridge);
    lift.seed("seed", options.lift.seed);
  });
  visitor.optional_section("inspector", options.inspector, [](auto& inspector, auto& chosen) {
    visit_inspector_options(inspector, chosen);
  });
  visitor.seed("seed", options.seed);
}

[[nodiscard]] inline Json learner_options_json(const LearnerOptions& options) {
  Json json = Json::object();
  OptionWriter writer(json);
  visit_learner_options(writer, options);
  return json;
}

/// @param place  for messages
/// @throws FormatError  for a value of another kind or name; values out of range are refused by who
///         takes the options
[[nodiscard]] inline LearnerOptions parse_learner_options(const Json& json,
                                                          const std::string& place) {
  LearnerOptions options;
  const JsonFields fields(json, place);
  OptionReader reader(fields);
  visit_learner_options(reader, options);
  return options;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
