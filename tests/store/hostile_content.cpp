// SPDX-License-Identifier: MIT
// Options, adapters and sizes that no learner has, in checkpoints whose checks all fit.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "store/hostile_ground.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("the checkpoint that hostile ones are made of loads", "[store]") {
  const HostileGround ground;
  CHECK(ground.refusal() == "nothing was thrown");
  ground.checkpoint().edit([](Json& m) { m["unknown"] = "key"; });
  ground.checkpoint().replace(hostile_router,
                              RouterTensors(ground.root + "/" + hostile_router).bytes());
  with_adapter([](Adapter<float>&) {})(ground.checkpoint());
  CHECK(ground.refusal() == "nothing was thrown");
}

TEST_CASE("options that no learner can have are refused", "[store][error]") {
  const auto option = [](const char* pointer, const Json& value) {
    return in_manifest([pointer = std::string(pointer), value](Json& m) {
      m["options"][Json::json_pointer(pointer)] = value;
    });
  };
  check_contents({
      {R"(M: options: router: expansion: kind is "magic", expected one of identity, dense, hadamard)",
       option("/router/expansion/kind", "magic")},
      {"M: options: router: rls: ridge is null, expected a finite number",
       option("/router/rls/ridge", nullptr)},
      {"R: generation 1: ridge is -1, expected a finite number above 0",
       option("/router/rls/ridge", -1)},
      {"R: generation 1: label_weight is -1, expected a finite number, at least 0",
       option("/router/label_weight", -1)},
      {"M: options: adapter: rank is -1, expected a whole number of 0..9223372036854775807",
       option("/adapter/rank", -1)},
      {"M: options: adapter: sites[0]: is 3, expected a string",
       option("/adapter/sites", Json::array({3}))},
      {"M: options: train: epochs is 1e+300, expected a whole number of 0..1000000000",
       option("/train/epochs", 1e300)},
      {R"(M: options: seed is 7, expected a string)", option("/seed", 7)},
      {"R: generation 1: gain is -1, expected a finite number above 0", option("/lift/gain", -1)},
      {"R: generation 1: dim is 0, expected 1..16777216", option("/lift/dim", 0)},
  });
}

TEST_CASE("adapters and spans that do not fit are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  const std::string task = "R/" + hostile_task + ": ";
  using A = Adapter<float>;
  const Matrix<float> identity = Matrix<float>::Identity(small_dim, 3);
  check_contents({
      {task + R"(format is "anyssr-job", expected "anyssr-task")",
       in_task([](Json& t) { t["format"] = "anyssr-job"; })},
      {task + "digest is 0x0123456789abcdef, expected 0xfedcba9876543210 as in the manifest",
       [](const EditedCheckpoint& c) {
         c.edit_file(hostile_task, [](Json& t) { t["digest"] = "0x0123456789abcdef"; });
         c.edit([](Json& m) { m["tasks"][0]["digest"] = "0xfedcba9876543210"; });
       }},
      {task + R"(scalar is "f8", expected f32 or f64)",
       in_task([](Json& t) { t["scalar"] = "f8"; })},
      {task + "parameters is -1, expected a whole number of 0..9223372036854775807",
       in_task([](Json& t) { t["parameters"] = -1; })},
      {task + "bytes is 18446744073709551615, expected a whole number of 0..281474976710656",
       in_task([](Json& t) { t["bytes"] = std::numeric_limits<std::uint64_t>::max(); })},
      {task + "metadata: number is 1, expected a string",
       in_task([](Json& t) { t["metadata"]["number"] = 1; })},
      {task + "heads: trained: temperature is 0.0, expected a number above 0",
       in_task([](Json& t) { t["heads"]["trained"]["temperature"] = 0.0; })},
      {task + "heads: trained: trained is 1, expected true or false",
       in_task([](Json& t) { t["heads"]["trained"]["trained"] = 1; })},
      {task + "heads: more is an object, expected none: no such head is there",
       in_task([](Json& t) { t["heads"]["more"] = t["heads"]["trained"]; })},
      {"R/" + hostile_weights +
           R"(: tensor "base_model.model.trained.weight" is of "trained", trained in full, )" +
           R"(expected a head: "closed_form")",
       in_task([](Json& t) { t["heads"].erase("trained"); })},
      {task + "modules: elsewhere is an object, expected none: no such module is there",
       in_task([](Json& t) { t["modules"]["elsewhere"] = Json::object(); })},
      {task + "modules: lift: alpha is 0, expected a finite number above 0", in_task([](Json& t) {
         t["modules"]["lift"] = {{"alpha", 0}, {"rank_stabilised", true}, {"confined", false}};
       })},
      {"R/adapters/000001-task-0/subspace.safetensors: cannot be read: No such file or directory",
       in_task([](Json& t) {
         t["modules"]["lift"] = {{"alpha", 1}, {"rank_stabilised", true}, {"confined", true}};
       })},
      {state + "the module of site 'lift' maps 17 to 10, expected 18 to 10", with_adapter([](A& a) {
         const LoraModule<float>& old = a.modules.at("lift");
         a.modules.at("lift") =
             LoraModule<float>(Matrix<float>(old.a().leftCols(17)), Matrix<float>(old.b()),
                               {.rank = old.rank(), .alpha = old.alpha()});
       })},
      {state + "the adapter has a module for site 'roof', which the backbone does not have",
       with_adapter([](A& a) {
         a.modules.emplace("roof", a.modules.at("lift"));
         a.modules.erase("lift");
       })},
      {state + "head 'trained' is 9 x 2 with 2 biases, expected 10 x 2 with 2",
       with_adapter([](A& a) {
         a.heads.at("trained").weights = a.heads.at("trained").weights.topRows(9).eval();
       })},
      {state + "the adapter has no head, expected 'trained' or 'closed_form'",
       with_adapter([](A& a) { a.heads.clear(); })},
      {state + "the adapter has a head 'extra', expected 'trained' or 'closed_form'",
       with_adapter([](A& a) { a.heads["extra"] = a.heads.at("trained"); })},
      {"R/" + hostile_weights +
           R"(: tensor "base_model.model.lift.lora_A.weight" has shape [2, 18], )" +
           "expected 1000000000 rows, the rank of that site in adapter_config.json",
       [](const EditedCheckpoint& c) {
         c.edit_file("adapters/000001-task-0/adapter_config.json",
                     [](Json& config) { config["r"] = 1000000000; });
       }},
      {state + "there is a span for site 'roof', which the backbone does not have",
       with_spans("roof", identity)},
      {state + "the span of site 'lift' has 17 rows, expected 18",
       with_spans("lift", identity.topRows(17))},
      {state + "span of 'lift' is off by 35, expected orthonormal columns",
       with_spans("lift", Matrix<float>::Ones(small_dim, 2))},
      {state + "span of 'lift' hold NaN or infinity at row 0, column 0, expected finite numbers",
       with_spans("lift", hostile_nan * identity)},
  });
}

TEST_CASE("numbers that ask for gigabytes ask in vain", "[store][error]") {
  const auto huge = [](const char* kind, std::uint64_t dim) {
    return in_manifest([kind = std::string(kind), dim](Json& m) {
      m["options"]["router"]["expansion"]["kind"] = kind;
      m["options"]["router"]["expansion"]["dim"] = dim;
    });
  };
  const std::string router = "R/" + hostile_router + ": ";
  const std::string moment = router + "tensor \"second_moment\" has shape [171], expected [";
  const std::string width = " by the options, expected 1..1073741824";
  const std::uint64_t most = std::uint64_t{1} << 30;
  const std::vector<HostileContent> cases{
      {moment + "36028797153181696]",
       in_manifest([](Json& m) { m["backbone"]["feature_dim"] = 268435456; })},
      {moment + "140737496743936]", huge("dense", std::uint64_t{1} << 24)},
      {moment + "576460752840294400]", huge("hadamard", most)},
      {router + "is to be of width 4611686018427387904" + width,
       huge("dense", std::uint64_t{1} << 62)},
      {router + "is to be of width 1073741825" + width, huge("dense", most + 1)},
      {router + "is to be of width 0" + width, huge("dense", 0)},
      {"R: lift: dim is 16777216, expected a width that the heads of " + hostile_weights +
           " fit in",
       in_manifest([](Json& m) { m["options"]["lift"]["dim"] = 16777216; })},
      {"R: lift: dim is 9223372036854775807, expected a width that the heads of " +
           hostile_weights + " fit in",
       in_manifest([](Json& m) {
         m["options"]["lift"]["dim"] = std::numeric_limits<std::int64_t>::max();
       })},
      {router + "the header has 4611686018427387904 bytes, expected at most 100000000 and at most "
                "92 in a file of 100",
       [](const EditedCheckpoint& c) {
         c.replace(hostile_router, little_endian(std::uint64_t{1} << 62, 8) + std::string(92, ' '));
       }},
      {router +
           "the tensors end at byte 4000000000000 of the data, expected 4, where the file ends",
       [](const EditedCheckpoint& c) {
         c.replace(hostile_router,
                   safetensors_bytes("{" +
                                         safetensors_entry("second_moment", "F32",
                                                           "[1000000000000]", 0, 4000000000000) +
                                         "}",
                                     "data"));
       }}};
  check_contents(cases);
  if (is_sanitized) return;  // its own memory does not fit into a limit
  const HostileGround ground;
  for (const HostileContent& hostile : cases) {
    CAPTURE(hostile.message);
    ground.reset();
    hostile.change(ground.checkpoint());
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // the limit is the child's alone; no test macros here
      std::ifstream statm("/proc/self/statm");
      rlim_t pages = 0;
      statm >> pages;
      const rlim_t most_bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (64U << 20U);
      const rlimit limit{most_bytes, most_bytes};
      setrlimit(RLIMIT_AS, &limit);
      try {
        (void)load_points<float>(ground.root);
      } catch (const FormatError&) {
        _exit(0);
      } catch (const std::bad_alloc&) {
        _exit(1);
      } catch (const std::exception&) {
        _exit(2);
      }
      _exit(3);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}
