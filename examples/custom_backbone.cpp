// SPDX-License-Identifier: MIT
// One's own model as a backbone: a Scalar, an Input, feature_dim() and features(). Here the "model"
// reads a sensor's last readings and gives their first Fourier coefficients; yours would call its
// own engine. The learner freezes it, and teaches it two machines and their faults in turn.
// expect: pump +0\.[89]|pump +1\.0
// expect: fan +0\.[89]|fan +1\.0

#include <anyssr/anyssr.hpp>
#include <cmath>
#include <cstdio>

// The whole price of bringing one's own model.
//! [backbone]
struct SpectrumBackbone {
  using Scalar = double;
  using Input = Eigen::RowVectorXd;  // 64 readings
  Eigen::MatrixXd cosines =
      Eigen::MatrixXd::NullaryExpr(64, 32, [](Eigen::Index t, Eigen::Index k) {
        return std::cos(0.049 * static_cast<double>(k * t)) / 8;
      });

  Eigen::Index feature_dim() const { return cosines.cols(); }
  Eigen::MatrixXd features(std::span<const Input> queries) const {
    Eigen::MatrixXd x(static_cast<Eigen::Index>(queries.size()), feature_dim());
    for (Eigen::Index i = 0; i < x.rows(); ++i)
      x.row(i) = queries[static_cast<std::size_t>(i)] * cosines;
    return x;
  }
};
static_assert(anyssr::Backbone<SpectrumBackbone>);
//! [backbone]

namespace {

struct Recordings {
  std::vector<Eigen::RowVectorXd> signals;
  std::vector<anyssr::Index> faults;  // 0 healthy, 1 worn bearing
};

// A machine hums at its own frequency; a worn bearing adds a second tone.
Recordings record(double hum, double whine, int count, std::uint64_t seed) {
  anyssr::RandomStream random(seed);
  Recordings result;
  for (int i = 0; i < count; ++i) {
    const anyssr::Index fault = i % 2;
    Eigen::RowVectorXd signal(64);
    for (int t = 0; t < 64; ++t) {
      const double tone = std::cos(hum * t) + (fault == 1 ? 0.6 * std::cos(whine * t) : 0.0);
      signal(t) = tone + 0.8 * static_cast<double>(random.normal());
    }
    result.signals.push_back(signal);
    result.faults.push_back(fault);
  }
  return result;
}

}  // namespace

int main() {
  //! [learner]
  anyssr::ContinualLearner learner(SpectrumBackbone{});
  const Recordings pump = record(0.30, 0.90, 60, 1);
  const Recordings fan = record(0.55, 1.25, 60, 2);
  learner.learn_task("pump", pump.signals, pump.faults);
  learner.learn_task("fan", fan.signals, fan.faults);
  //! [learner]

  std::printf("machine   right (machine and fault), of 100 new recordings each\n");
  const std::pair<const char*, Recordings> tests[] = {{"pump", record(0.30, 0.90, 100, 3)},
                                                      {"fan", record(0.55, 1.25, 100, 4)}};
  for (const auto& [name, recordings] : tests) {
    const auto answers = learner.predict(recordings.signals);
    int right = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const bool is_right = answers[i].task == name &&
                            learner.backbone().is_correct(answers[i].output, recordings.faults[i]);
      right += is_right ? 1 : 0;
    }
    std::printf("%-8s  %.2f\n", name, right / 100.0);
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}
