// SPDX-License-Identifier: MIT
#include "anyssr/lora/data_aware_merge.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Tasks at one site: modules, the rows that enter it and what is known of them.
template <class S>
struct MergeTasks {
  std::vector<LoraModule<S>> modules;
  std::vector<Eigen::MatrixXd> rows;  // n x in
  std::vector<SiteMoment<S>> moments;
  std::vector<double> weights;

  /// @param k  0: rows of all directions and whole moments; else each task's rows lie in k
  ///           directions of its own, and the moments are known inside these
  MergeTasks(std::size_t tasks, Index in, Index out, Index rank, Index k, std::uint64_t seed) {
    for (std::uint64_t i = 0; i < tasks; ++i) {
      const std::uint64_t own = 100 * seed + i;
      modules.push_back(random_module<S>(in, out, rank, i == 1 ? k : 0, own));
      const Eigen::MatrixXd x = random_normal<double>(30, k == 0 ? in : k, own, 51);
      Eigen::VectorXd scales(x.cols());
      for (Index j = 0; j < x.cols(); ++j) scales(j) = std::pow(0.6, static_cast<double>(j));
      const Eigen::MatrixXd z = x * scales.asDiagonal();
      SiteMoment<S> moment{.moment = z.transpose() * z};
      if (k == 0) {
        rows.push_back(z);
      } else {
        moment.basis = random_basis<S>(in, k, own);
        rows.push_back(z * moment.basis.template cast<double>().transpose());
      }
      moment.moment.template triangularView<Eigen::StrictlyUpper>().setConstant(
          std::numeric_limits<double>::quiet_NaN());  // nobody reads it
      moments.push_back(std::move(moment));
      weights.push_back(1 + 0.5 * static_cast<double>(i));
    }
  }

  [[nodiscard]] std::vector<DataMergeTerm<S>> terms() const {
    std::vector<DataMergeTerm<S>> result;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      result.push_back({&modules[i], &moments[i], weights[i]});
    }
    return result;
  }
  [[nodiscard]] DataMergedModule<S> merged(const DataMergeOptions& options) const {
    return merge_by_data<S>(std::span<const DataMergeTerm<S>>(terms()), options);
  }

  /// sum_i w_i S_i + lambda I by the rows.
  [[nodiscard]] Eigen::MatrixXd gram(double ridge) const {
    const Index in = rows[0].cols();
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(in, in);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sum += weights[i] * rows[i].transpose() * rows[i];
    }
    const double lambda = ridge * sum.trace() / static_cast<double>(in);
    return sum + lambda * Eigen::MatrixXd::Identity(in, in);
  }
  /// The solution of the normal equations, out x in, of whatever rank.
  [[nodiscard]] Eigen::MatrixXd solution(double ridge) const {
    Eigen::MatrixXd right = Eigen::MatrixXd::Zero(rows[0].cols(), modules[0].out_dim());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      right +=
          weights[i] * rows[i].transpose() * (rows[i] * explicit_delta(modules[i]).transpose());
    }
    return solution_of(gram(ridge), right).transpose();
  }
  /// |X_i (dW - dW_i)^T|
  [[nodiscard]] double error_of(const Eigen::MatrixXd& delta, std::size_t task) const {
    return (rows[task] * (delta - explicit_delta(modules[task])).transpose()).norm();
  }
  /// The same over all tasks.
  [[nodiscard]] double error_of(const Eigen::MatrixXd& delta) const {
    double squares = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      squares += weights[i] * std::pow(error_of(delta, i), 2);
    }
    return std::sqrt(squares);
  }
  [[nodiscard]] double norm() const {
    return error_of(Eigen::MatrixXd::Zero(modules[0].out_dim(), rows[0].cols()));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a merge of full rank solves the normal equations of the data",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Index k = GENERATE(0, 3, 7);  // whole, three small subspaces, three that fill the inputs
  CAPTURE(seed, k);
  const MergeTasks<TestType> tasks(3, 12, 10, 3, k, seed);
  const DataMergedModule<TestType> merged = tasks.merged({.rank = 9, .ridge = 1e-2});
  CHECK(merged.module.rank() == 9);
  CHECK_FALSE(merged.module.is_confined());
  CHECK(relative_error(explicit_delta(merged.module), tasks.solution(1e-2)) <
        round_off<TestType>(1000));
}

TEMPLATE_TEST_CASE("a merge of low rank is the best of its rank in the metric of the data",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Index k = GENERATE(0, 3);
  const Index rank = GENERATE(1, 2, 4);
  CAPTURE(seed, k, rank);
  const MergeTasks<TestType> tasks(3, 12, 10, 3, k, seed);
  const Eigen::MatrixXd exact = tasks.solution(1e-3);
  const Eigen::MatrixXd root = lower_root_of(tasks.gram(1e-3));
  const Eigen::VectorXd values = singular_values_of(exact * root);
  const double best = values.tail(values.size() - rank).norm();
  const LoraModule<TestType> module = tasks.merged({.rank = rank, .ridge = 1e-3}).module;
  const double measured = ((explicit_delta(module) - exact) * root).norm();
  CHECK(module.rank() == rank);
  CHECK(std::abs(measured - best) < round_off<TestType>(1000) * values.norm());
}

TEMPLATE_TEST_CASE("a merge reports the errors on the rows themselves", "[lora][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Index k = GENERATE(0, 3);
  CAPTURE(seed, k);
  const MergeTasks<TestType> tasks(3, 12, 10, 3, k, seed);
  const DataMergedModule<TestType> merged = tasks.merged({.rank = 2, .ridge = 1e-4});
  const Eigen::MatrixXd delta = explicit_delta(merged.module);
  // a basis in float is orthonormal to round-off of float only
  const double tolerance = k == 0 ? round_off<double>(1000) : round_off<TestType>(100);
  REQUIRE(merged.errors.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(std::abs(merged.errors[i] - tasks.error_of(delta, i)) < tolerance * tasks.norm());
    CHECK(data_error(merged.module, tasks.terms()[i]) == merged.errors[i]);
  }
  CHECK(std::abs(merged.error - tasks.error_of(delta)) < tolerance * tasks.norm());
  CHECK(std::abs(merged.relative_error - tasks.error_of(delta) / tasks.norm()) < tolerance);
}

TEMPLATE_TEST_CASE("a merge by data loses no more on the data than the sum or the mean",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Index rank = GENERATE(1, 3, 9);
  CAPTURE(seed, rank);
  const MergeTasks<TestType> tasks(3, 12, 10, 3, 0, seed);
  const double error = tasks.merged({.rank = rank, .ridge = 1e-9}).error;
  for (const double weight : {1.0, 1.0 / 3}) {
    std::vector<Adapter<TestType>> adapters(3);
    std::vector<typename AdapterMix<TestType>::Entry> mix;
    for (std::size_t i = 0; i < 3; ++i) {
      adapters[i].modules.emplace("p", tasks.modules[i]);
      mix.push_back({&adapters[i], weight});
    }
    const LoraModule<TestType> plain =
        compress(merge_adapters<TestType>(mix).modules.at("p"), rank).module;
    CHECK(error < tasks.error_of(explicit_delta(plain)));
  }
}

TEMPLATE_TEST_CASE("tasks whose inputs are orthogonal are merged without loss", "[lora]", float,
                   double) {
  MergeTasks<TestType> tasks(2, 12, 10, 2, 4, 7);
  const RowMajorMatrix<TestType> both = random_basis<TestType>(12, 8, 9);
  for (std::size_t i = 0; i < 2; ++i) {
    const Matrix<TestType> own = both.middleCols(static_cast<Index>(4 * i), 4);
    tasks.rows[i] = tasks.rows[i] * tasks.moments[i].basis.template cast<double>() *
                    own.template cast<double>().transpose();
    tasks.moments[i].basis = own;
  }
  const DataMergedModule<TestType> merged = tasks.merged({.rank = 4, .ridge = 1e-10});
  const double tolerance = round_off<TestType>(100) + 1e-7;  // the ridge shrinks a little
  CHECK(tasks.error_of(explicit_delta(merged.module)) < tolerance * tasks.norm());
  CHECK(merged.relative_error < tolerance);
}

TEMPLATE_TEST_CASE("inputs that no task knows are left alone", "[lora]", float, double) {
  const MergeTasks<TestType> tasks(2, 12, 10, 2, 3, 8);
  const Eigen::MatrixXd delta = explicit_delta(tasks.merged({}).module);
  Eigen::MatrixXd both(12, 6);
  both << tasks.moments[0].basis.template cast<double>(),
      tasks.moments[1].basis.template cast<double>();
  const Eigen::MatrixXd full = orthonormal_columns_of(both, 12);
  CHECK((delta * full.rightCols(6)).norm() < round_off<TestType>(20) * delta.norm());
}

TEST_CASE("whole and subspace moments of the same rows give the same merge", "[lora]") {
  MergeTasks<double> tasks(2, 12, 10, 2, 4, 10);
  const Eigen::MatrixXd inside = explicit_delta(tasks.merged({.rank = 4}).module);
  for (std::size_t i = 0; i < 2; ++i) {  // mixed forms, then both whole
    tasks.moments[i] = {.moment = tasks.rows[i].transpose() * tasks.rows[i]};
    CHECK(relative_error(explicit_delta(tasks.merged({.rank = 4}).module), inside) < 1e-8);
  }
}

TEST_CASE("modules that change nothing are merged to one that changes nothing", "[lora]") {
  MergeTasks<float> tasks(2, 12, 10, 2, 0, 11);
  for (auto& module : tasks.modules) module = LoraModule<float>(12, 10, {.rank = 2}, 1);
  const DataMergedModule<float> merged = tasks.merged({});
  CHECK(explicit_delta(merged.module).norm() == 0);
  CHECK(merged.error == 0);
  CHECK(merged.relative_error == 0);
  CHECK(merged.module.rank() == 2);
}

TEST_CASE("what cannot be merged by data is refused", "[lora][error]") {
  const MergeTasks<double> good(2, 12, 10, 2, 0, 12);
  const auto message = [&](const auto& spoil, const DataMergeOptions& options = {}) {
    MergeTasks<double> tasks = good;
    std::vector<DataMergeTerm<double>> terms = tasks.terms();
    spoil(tasks, terms);
    return message_of<Error>([&] {
      (void)merge_by_data<double>(std::span<const DataMergeTerm<double>>(terms), options);
    });
  };
  const auto nothing = [](auto&, auto&) {};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(message(nothing) == "nothing was thrown");
  CHECK(message([](auto&, auto& terms) { terms.clear(); }) ==
        "there are 0 terms, expected at least 1");
  CHECK(message(nothing, {.rank = -1}) == "rank is -1, expected 0 (the largest) or more");
  CHECK(message(nothing, {.rank = 1, .ridge = 0}) ==
        "ridge is 0, expected a finite number above 0");
  CHECK(message([](auto&, auto& terms) { terms[1].module = nullptr; }) ==
        "a term has no module or no moment, expected both");
  CHECK(message([](auto&, auto& terms) { terms[1].moment = nullptr; }) ==
        "a term has no module or no moment, expected both");
  CHECK(message([](auto&, auto& terms) { terms[1].weight = 0; }) ==
        "weight is 0, expected a finite number above 0");
  CHECK(message([](auto& tasks, auto&) {
          tasks.modules[1] = random_module<double>(12, 9, 2, 0, 1);
        }) == "modules are out 10 x in 12 and out 9 x in 12, expected one shape");
  CHECK(message([&](auto& tasks, auto&) { tasks.modules[0].mutable_a()(1, 5) = nan; }) ==
        "a hold NaN or infinity at row 1, column 5, expected finite numbers");
  CHECK(message([](auto& tasks, auto&) { tasks.moments[1].moment.setZero(11, 11); }) ==
        "moment is of 11 inputs, expected 12");
  CHECK(message([](auto& tasks, auto&) { tasks.moments[1].moment.setZero(12, 11); }) ==
        "moment is 12 x 11, expected 12 x 12");
  CHECK(message([](auto& tasks, auto&) {
          tasks.moments[1].basis = random_basis<double>(12, 3, 1);
        }) == "moment is 12 x 12, expected 3 x 3");
  CHECK(message([](auto& tasks, auto&) {
          tasks.moments[1].basis = Matrix<double>::Ones(12, 12);
        }).find("basis is off by ") == 0);
  CHECK(message([&](auto& tasks, auto&) { tasks.moments[1].moment(4, 2) = nan; }) ==
        "moment hold NaN or infinity at row 2, column 0, expected finite numbers");
  CHECK(message([](auto& tasks, auto&) { tasks.moments[1].moment(4, 4) = -1; }) ==
        "moment has -1 on its diagonal at 4, expected 0 or more");
  CHECK(contains(message([](auto& tasks, auto&) { tasks.moments[1].moment(4, 2) = 1e6; }),
                 "the moments have a negative eigenvalue"));
  CHECK(message([](auto& tasks, auto&) {
          for (auto& moment : tasks.moments) moment.moment.setZero();
        }) == "the moments are zero, expected inputs to merge by");
}

TEST_CASE("adapters are merged by data site by site", "[lora]") {
  const MergeTasks<double> p(2, 12, 10, 2, 0, 13);
  const MergeTasks<double> q(2, 6, 5, 3, 0, 14);
  std::vector<Adapter<double>> adapters(2);
  std::vector<SiteMoments<double>> moments(2);
  std::vector<DataMergeEntry<double>> entries;
  for (std::size_t i = 0; i < 2; ++i) {
    adapters[i].modules.emplace("p", p.modules[i]);
    moments[i].emplace("p", p.moments[i]);
    if (i == 0) {
      adapters[i].modules.emplace("q", q.modules[i]);
      moments[i].emplace("q", q.moments[i]);
    }
    adapters[i].heads["top"] = {.weights = random_normal<double>(4, 3, i, 7),
                                .bias = random_normal<double>(1, 3, i, 8)};
    entries.push_back({&adapters[i], &moments[i], p.weights[i]});
  }
  const DataMergedAdapter<double> merged = merge_by_data<double>(entries);
  CHECK(merged.adapter.modules.at("p") == p.merged({}).module);
  CHECK(merged.relative_error.at("p") == p.merged({}).relative_error);
  CHECK(merged.adapter.modules.at("q") == q.modules[0]);
  CHECK(merged.relative_error.at("q") == 0);
  const Eigen::MatrixXd head =
      0.4 * adapters[0].heads.at("top").weights + 0.6 * adapters[1].heads.at("top").weights;
  CHECK(relative_error(merged.adapter.heads.at("top").weights, head) < round_off<double>(10));
  const DataMergedAdapter<double> low = merge_by_data<double>(entries, {.rank = 1});
  CHECK(low.adapter.modules.at("q").rank() == 1);  // cut in the metric of its own data
  CHECK(low.relative_error.at("q") > 0);
  entries[1].adapter = &adapters[0];
  CHECK(message_of<ArgumentError>([&] { (void)merge_by_data<double>(entries); }) ==
        "moments have no site 'q', expected one for each module");
  entries[1].moments = nullptr;
  CHECK(message_of<ArgumentError>([&] { (void)merge_by_data<double>(entries); }) ==
        "an entry has no adapter or no moments, expected both");
}
