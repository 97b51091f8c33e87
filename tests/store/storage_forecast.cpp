// SPDX-License-Identifier: MIT
#include "anyssr/store/storage_forecast.hpp"

#include <cmath>
#include <string>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::contains;
using anyssr::test::message_of;

/// LLaMA-2-7B with rank 8 at q and v of 28 of its 32 layers, all of width 4096: 56 modules of
/// 8 * (4096 + 4096) numbers each, in bf16; 6.74e9 numbers of the model in bf16.
StorageShape seven_billion() {
  return {.router_dim = 4096,
          .dense_features = false,
          .kept_generations = 1,
          .adapter_parameters = 56 * 8 * 8192,
          .adapter_tensors = 112,
          .adapter_memory_bytes = 2,
          .adapter_disk_bytes = 2,
          .model_bytes = 13.48e9,
          .replay_row_bytes = 2000,
          .replay_rows = 5000};
}

bool is_within(double a, double b, double share) { return std::abs(a - b) <= share * std::abs(b); }

}  // namespace

TEST_CASE("a hundred tasks of a large model take what they take by hand", "[store][golden]") {
  const StorageForecast forecast = forecast_storage(seven_billion(), 100);
  // 3,670,016 numbers a task: 7.34 MB in bf16, 0.734 GB for 100 tasks
  CHECK(seven_billion().adapter_parameters == 3670016);
  CHECK(forecast.adapters.memory == 734003200);
  CHECK(is_within(forecast.adapters.disk, 734003200, 0.003));
  // 4 (4096^2 + 2 * 4096 + 3 * 4096 * 100) + 8 (4096 + 100)
  CHECK(forecast.router.memory == 67108864 + 32768 + 4915200 + 33568);
  // 4 (4096 * 4097 / 2 + 4096 * 100) + (448 + 8 + 47 + 635) * 100 and a few kilobytes
  CHECK(is_within(forecast.router.disk, 33562624 + 1638400 + 113800, 1e-3));
  CHECK(forecast.heads.disk == 0);
  CHECK(forecast.full_copies.disk == 1.348e12);
  CHECK(forecast.replay.disk == 1e9);
  CHECK(forecast.replay.memory == 0);
  CHECK(is_within(forecast.total().memory, 0.806e9, 0.001));
}

TEST_CASE("label columns and a buffer and kept generations are counted", "[store][golden]") {
  const StorageShape plain{
      .router_dim = 1000, .router_scalar_bytes = 8, .dense_features = false, .kept_generations = 1};
  StorageShape shape = plain;
  shape.label_columns = 9;
  const StorageForecast one = forecast_storage(plain, 10);
  StorageForecast other = forecast_storage(shape, 10);
  // 90 more columns: C, W and W by rows, and 8 bytes each
  CHECK(other.router.memory - one.router.memory == 90 * (3 * 8000 + 8));
  CHECK(other.router.disk - one.router.disk == 90 * (8000 + 8 + 39 + 8));  // a name of 8 bytes
  shape = plain;
  shape.dense_features = true;
  other = forecast_storage(shape, 10);
  CHECK(other.router.memory - one.router.memory == 256 * (1000 + 8) * 8);
  shape.exact_leverage = true;
  CHECK(forecast_storage(shape, 10).router.memory - other.router.memory == 1001000 * 8);
  shape.kept_generations = 3;
  // those before know 9 tasks, and 8
  CHECK(forecast_storage(shape, 10).router.disk == one.router.disk +
                                                       forecast_storage(plain, 9).router.disk +
                                                       forecast_storage(plain, 8).router.disk);
}

TEST_CASE("heads and a log are counted", "[store][golden]") {
  const StorageShape shape{
      .head_parameters = 1000, .adapter_memory_bytes = 8, .queries = 1e6, .log_bytes_a_query = 400};
  const StorageForecast forecast = forecast_storage(shape, 20);
  CHECK(forecast.heads.memory == 160000);
  CHECK(is_within(forecast.heads.disk, 80000, 0.1));
  CHECK(forecast.log.disk == 4e8);
  CHECK(forecast.router.memory == 0);
  CHECK(forecast.router.disk == 0);
  CHECK(forecast.adapters.disk == 0);
  CHECK(forecast.total().disk == forecast.heads.disk + 4e8);
}

TEST_CASE("spans and an inspector are counted", "[store][golden]") {
  const StorageShape shape{.kept_generations = 2,
                           .span_parameters = 1000,
                           .span_sites = 2,
                           .inspector = {500, 700},
                           .inspector_a_task = {10, 20}};
  const StorageForecast forecast = forecast_storage(shape, 5);
  CHECK(forecast.adapters.memory == 20000);
  CHECK(forecast.adapters.disk == 20000 + 5 * (330 + 2 * 140));
  CHECK(forecast.inspector.memory == 550);
  CHECK(forecast.inspector.disk == 700 + 5 * 20 + 700 + 4 * 20);  // that before knows 4 tasks
  CHECK(forecast.total().memory == 20550);
}

TEST_CASE("forecasts are printed as tables", "[store][golden]") {
  const auto forecasts = forecast_storage(seven_billion());
  REQUIRE(forecasts.size() == 4);
  const std::string text = to_text(forecasts);
  CHECK(
      contains(text,
               "memory\n"
               "tasks   router  adapters  heads  inspector  log    total  full copies  replay\n"
               "   10  67.7 MB   73.4 MB    0 B        0 B  0 B   141 MB       135 GB     0 B\n"
               "  100  72.1 MB    734 MB    0 B        0 B  0 B   806 MB      1.35 TB     0 B\n"));
  CHECK(contains(text, "disk\ntasks"));
  CHECK(contains(text, "10000"));
}

TEST_CASE("bytes are printed with three digits", "[store][golden]") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(999.6) == "1 kB");
  CHECK(bytes_text(33.5e6) == "33.5 MB");
  CHECK(bytes_text(1234e15) == "1234 PB");
}

TEST_CASE("a storage shape out of range is refused", "[store][error]") {
  const auto refused = [](const StorageShape& shape) {
    return message_of<ArgumentError>([&] { (void)forecast_storage(shape, 1); });
  };
  CHECK(refused({}) == "nothing was thrown");
  CHECK(refused({.router_dim = -1}) == "router_dim is -1, expected 0..1073741824");
  CHECK(refused({.router_scalar_bytes = 2}) == "router_scalar_bytes is 2, expected 4 or 8");
  CHECK(refused({.label_columns = -1}) == "label_columns is -1, expected 0 to 1e+18");
  CHECK(refused({.kept_generations = 0}) == "kept_generations is 0, expected 1..1000");
  CHECK(refused({.adapter_parameters = -5}) == "adapter_parameters is -5, expected 0 to 1e+18");
  CHECK(refused({.adapters_a_task = 0.5}) == "adapters_a_task is 0.5, expected 1 to 3");
  CHECK(refused({.usage_entries = NAN}) == "usage_entries is nan, expected 0 to 1e+18");
  CHECK(refused({.inspector = {-1, 0}}) == "inspector memory is -1, expected 0 to 1e+18");
  CHECK(refused({.adapter_disk_bytes = 0}) == "adapter_disk_bytes is 0, expected above 0 to 8");
  CHECK(refused({.model_bytes = NAN}) == "model_bytes is nan, expected 0 to 1e+18");
  CHECK(message_of<ArgumentError>([] { (void)forecast_storage({}, -1); }) ==
        "tasks is -1, expected 0..1000000000000");
}
