// SPDX-License-Identifier: MIT
// Sums and calibrations that no learning leads to, in checkpoints whose checks all fit.
#include <cstdint>
#include <string>

#include "anyssr/store.hpp"
#include "store/hostile_ground.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("sums that no learning leads to are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  const std::string router = "R/" + hostile_router + ": ";
  using T = RouterTensors;
  check_contents({
      {state + "second_moment hold NaN or infinity at row 1, column 0, expected finite numbers",
       in_router([](T& t) { t.moment[1] = hostile_nan; })},
      {state + "second_moment has -1 on its diagonal at 0, expected 0 or more",
       in_router([](T& t) { t.moment[0] = -1; })},
      {state + "cross_correlation hold NaN or infinity at row 2, column 3, expected finite numbers",
       in_router([](T& t) { t.cross(2, 3) = hostile_infinity; })},
      {state + "target_energy hold NaN or infinity at row 1, column 0, expected finite numbers",
       in_router([](T& t) { t.energy(1) = hostile_nan; })},
      {state + "target_energy has -1e-09 at 1, expected 0 or more",
       in_router([](T& t) { t.energy(1) = -1e-9; })},
      {state + "bounds.trace is -1, expected a finite number, 0 or more",
       in_router([](T& t) { t.bounds(0) = -1; })},
      {state + "bounds.largest_energy is nan, expected a finite number, 0 or more",
       in_router([](T& t) { t.bounds(2) = hostile_nan; })},
      {state + "temperature is 0, expected a finite number above 0",
       in_router([](T& t) { t.temperature(0) = 0; })},
      {state + "temperature is nan, expected a finite number above 0",
       in_router([](T& t) { t.temperature(0) = hostile_nan; })},
      {state + "the row weight of task 'task-1' is 0, expected a finite number above 0",
       in_router([](T& t) { t.weights(1) = 0; })},
      {state + "label weight counts have -1 rows, expected 0..9007199254740992",
       in_router([](T& t) { t.counted[0] = -1; })},
      {state + "label weight counts hold 1000, expected 0..24",
       in_router([](T& t) { t.right[2] = 1000; })},
      {state + "the tasks own 6 columns, expected 5", in_router([](T& t) {
         t.cross = t.cross.leftCols(5).eval();
         t.energy = t.energy.head(5).eval();
       })},
      {router + "tensor \"rows\" holds -1, expected 0..9007199254740992",
       in_router([](T& t) { t.rows[0] = -1; })},
      {router + "tensor \"rows\" holds 9007199254740992, expected 0..9007199254740991",
       in_router([](T& t) {
         t.rows = {1, std::int64_t{1} << 53};
       })},
      {router + "tensor \"rows\" has shape [3], expected [2]",
       in_router([](T& t) { t.rows.push_back(1); })},
      {router + "tensor \"row_weight\" has shape [1], expected [2]",
       in_router([](T& t) { t.weights = t.weights.head(1).eval(); })},
      {router + "tensor \"second_moment\" has shape [170], expected [171]",
       in_router([](T& t) { t.moment.pop_back(); })},
      {router + "tensor \"cross_correlation\" has shape [17, 6], expected [18, ?]",
       in_router([](T& t) { t.cross = t.cross.topRows(17).eval(); })},
      {router + "tensor \"target_energy\" has shape [5], expected [6]",
       in_router([](T& t) { t.energy = t.energy.head(5).eval(); })},
      {router + "tensor \"calibration.label_weight_right\" has shape [6], expected [7]",
       in_router([](T& t) { t.right.pop_back(); })},
      {router + "has no tensor \"bounds\", it has \"calibration.label_weight_right\", "
                "\"calibration.label_weight_rows\", \"calibration.mean_score_of_task\", "
                "\"calibration.residuals\", \"calibration.tasks_rows\", "
                "\"calibration.temperature\", \"calibration.temperature_of_task\", "
                "\"calibration.temperature_weight_of_task\", ...",
       [](const EditedCheckpoint& checkpoint) {
         checkpoint.replace(hostile_router,
                            RouterTensors(checkpoint.path(hostile_router)).bytes("bounds"));
       }},
      {router + "the header has 9187201950435737471 bytes, expected at most 100000000 and at most "
                "92 in a file of 100",
       [](const EditedCheckpoint& checkpoint) {
         checkpoint.replace(hostile_router, std::string(100, '\x7F'));
       }},
      {router + "is empty, expected a safetensors file: download or copy the file again",
       [](const EditedCheckpoint& c) { c.replace(hostile_router, ""); }},
      {router + "the tensors end at byte 2156 of the data, expected 2152, where the file ends",
       [](const EditedCheckpoint& c) {
         const std::string bytes = file_bytes(c.path(hostile_router).string());
         c.replace(hostile_router, bytes.substr(0, bytes.size() - 4));
       }},
  });
}

TEST_CASE("calibrations that no rows lead to are refused with their tensor", "[store][error]") {
  const std::string tensor = "R/" + hostile_router + ": tensor \"calibration.";
  using T = RouterTensors;
  check_contents({
      {tensor + "tasks_rows\" holds -1 for task \"task-1\", expected 0..9007199254740992",
       in_router([](T& t) { t.measured[1] = -1; })},
      {tensor + "tasks_rows\" has shape [3], expected [2]",
       in_router([](T& t) { t.measured.push_back(1); })},
      {tensor + "temperature_of_task\" holds 0 for task \"task-0\", expected 1e-100..1e+100",
       in_router([](T& t) { t.temperatures(0) = 0; })},
      {tensor + "temperature_of_task\" holds nan for task \"task-0\", expected 1e-100..1e+100",
       in_router([](T& t) { t.temperatures(0) = hostile_nan; })},
      {tensor + "temperature_of_task\" has shape [1], expected [2]",
       in_router([](T& t) { t.temperatures = t.temperatures.head(1).eval(); })},
      {tensor + "temperature_weight_of_task\" holds -1 for task \"task-1\", expected 0..1e+100",
       in_router([](T& t) { t.temperature_weights(1) = -1; })},
      {tensor + "temperature_weight_of_task\" holds inf for task \"task-1\", expected 0..1e+100",
       in_router([](T& t) { t.temperature_weights(1) = hostile_infinity; })},
      {tensor + "mean_score_of_task\" holds nan for task \"task-0\", expected -1e+100..1e+100",
       in_router([](T& t) { t.mean_scores(0) = hostile_nan; })},
      {tensor + "residuals\" holds inf for task \"task-1\", expected -1e+100..1e+100",
       in_router([](T& t) { t.residuals(1, 49) = hostile_infinity; })},
      {tensor + "residuals\" holds -5 for task \"task-1\", expected 2 or more: they rise",
       in_router([](T& t) {
         t.residuals.row(1).setConstant(2);
         t.residuals(1, 7) = -5;
       })},
      {tensor + "residuals\" has shape [2, 49], expected [2, 50]",
       in_router([](T& t) { t.residuals = t.residuals.leftCols(49).eval(); })},
  });
  const HostileGround ground;
  ground.checkpoint().replace(
      hostile_router,
      RouterTensors(ground.root + "/" + hostile_router).bytes("calibration.residuals"));
  CHECK(ground.refusal().starts_with("R/" + hostile_router +
                                     ": has no tensor \"calibration.residuals\", it has "));
}

TEST_CASE("sums of another scalar than the manifest says are refused", "[store][error]") {
  const HostileGround ground;
  ground.checkpoint().edit([](Json& m) { m["scalar"] = "f64"; });
  CHECK(message_of<FormatError>([&] { (void)load_points<float>(ground.root, {.narrow = true}); }) ==
        ground.root + "/" + hostile_router +
            ": tensor \"second_moment\" is of F32, expected F64 as in the manifest");
}

TEST_CASE("sums that cannot be factored are a numerical error", "[store][error]") {
  const HostileGround ground;
  in_router([](RouterTensors& t) { t.moment[1] = 1e6F; })(ground.checkpoint());
  CHECK_THROWS_AS(load_points<float>(ground.root), NumericalError);
}
