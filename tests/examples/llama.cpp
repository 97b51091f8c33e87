// SPDX-License-Identifier: MIT
// The language model's applications as their users run them: a random model of a few numbers in a
// folder, and the trained one where the environment names it.

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/io/peft_adapter_writer.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/llama_folder.hpp"
#include "support/program.hpp"
#include "support/token_items.hpp"

using namespace anyssr;
using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string llama_generate_program = ANYSSR_LLAMA_GENERATE;
const std::string llama_continual_program = ANYSSR_LLAMA_CONTINUAL;

/// A random model, two layers, eleven tokens: 1 begins and 2 ends a text.
class RandomLlama {
 public:
  explicit RandomLlama(std::uint64_t seed = 7) {
    const LlamaConfig config = small_llama_config();
    std::filesystem::create_directory(model());
    write_llama_folder(model(), config, random_llama_weights<float>(config, seed));
  }
  [[nodiscard]] std::string model() const { return folder_.file("model"); }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  std::string write(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }

  /// The figures of a run that ends well.
  [[nodiscard]] json generated(const std::string& arguments) const {
    const ProgramResult result = run_program(
        llama_generate_program, model() + " " + arguments + " --json " + file("out.json"));
    CAPTURE(result.output);
    REQUIRE(result.status == 0);
    return read_figures(file("out.json"));
  }
  /// The message of one that does not.
  [[nodiscard]] std::string refused(const std::string& program,
                                    const std::string& arguments) const {
    const ProgramResult result = run_program(program, arguments);
    CAPTURE(result.output);
    CHECK(result.status == 2);
    return result.output;
  }

  /// Two tasks of token ids, told apart by their tokens.
  [[nodiscard]] std::string tasks() const {
    return "--task 'low<b>=" + write("low.jsonl", token_items(3, 60)) + "," +
           write("low.test.jsonl", token_items(3, 7)) +
           "' --task high=" + write("high.jsonl", token_items(7, 60));
  }

 private:
  TemporaryFolder folder_;
};

/// The trained model's folder; nothing, with a line that marks the test as skipped, where it is not
/// named or the programs cannot read its text.
std::optional<std::string> find_trained_llama(bool needs_text) {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return std::nullopt;
  }
  const std::string model = std::string(extra) + "/models/tiny-llama";
  if (needs_text) {
    const ProgramResult result =
        run_program(llama_generate_program, "'" + model + "' --prompt a --tokens 1");
    if (contains(result.output, "built without SentencePiece")) {
      std::cout << "skipped: built without SentencePiece\n";
      return std::nullopt;
    }
  }
  return model;
}

}  // namespace

TEST_CASE("llama_generate writes on from token ids and shows its numbers", "[examples]") {
  const RandomLlama llama;
  const std::string scalar = GENERATE("float", "double");
  CAPTURE(scalar);
  const json figures = llama.generated("--ids 1,5,3,9 --tokens 6 --ignore-eos --scalar " + scalar +
                                       " --logits " + llama.file("out.safetensors"));
  CHECK(figures["prompt_ids"] == json({1, 5, 3, 9}));
  REQUIRE(figures["ids"].size() == 6);
  CHECK(figures["text"].is_null());
  CHECK(figures["tokens_per_second_prefill"].get<double>() > 0);
  CHECK(figures.contains("tokens_per_second_decode"));
  const SafetensorsReader tensors(llama.file("out.safetensors"));
  const RowMajorMatrix<double> logits = tensors.matrix<double>("logits");
  const RowMajorMatrix<double> hidden = tensors.matrix<double>("hidden");
  const RowVector<double> pooled = tensors.vector<double>("pooled");
  REQUIRE(logits.rows() == 4);
  REQUIRE(logits.cols() == 11);
  REQUIRE(hidden.rows() == 4);
  REQUIRE(hidden.cols() == 8);
  REQUIRE(pooled.size() == 8);
  Index best = 0;
  logits.row(3).maxCoeff(&best);
  CHECK(figures["ids"][0] == best);
  CHECK((hidden.colwise().mean() - pooled).norm() < 1e-6 * pooled.norm());
}

TEST_CASE("llama_generate draws the same tokens by the same seed", "[examples]") {
  const RandomLlama llama;
  const std::string wild = "--ids 1,4 --tokens 20 --ignore-eos --temperature 5 --top-k 9 --seed ";
  const json first = llama.generated(wild + "1");
  CHECK(first["ids"].size() == 20);
  CHECK(llama.generated(wild + "1")["ids"] == first["ids"]);
  CHECK(llama.generated(wild + "2")["ids"] != first["ids"]);
}

TEST_CASE("llama_generate stops where no position is left", "[examples]") {
  const RandomLlama llama;
  const json figures = llama.generated("--ids 1 --tokens 1000 --ignore-eos");
  CHECK(figures["ids"].size() == 64);  // 64 positions, the last of which still picks a token
  CHECK(figures["is_complete"] == false);
  CHECK(llama.generated("--ids 1 --tokens 0")["ids"].empty());
}

TEST_CASE("llama_generate says what is wrong", "[examples][error]") {
  const RandomLlama llama;
  const auto refused = [&](const std::string& arguments) {
    return llama.refused(llama_generate_program, arguments);
  };
  CHECK(contains(refused("/nowhere/model --ids 1"), "/nowhere/model"));
  CHECK(contains(refused(llama.model()), "there is no prompt, expected --ids or --prompt"));
  CHECK(contains(refused(llama.model() + " --ids 1,11"), "id 11 at place 1, expected 0..10"));
  CHECK(contains(refused(llama.model() + " --ids 1,x"), "--ids has 'x', expected token ids"));
  CHECK(contains(refused(llama.model() + " --ids 1,-3"), "--ids has '-3'"));
  CHECK(contains(refused(llama.model() + " --ids ''"), "--ids"));
  CHECK(contains(refused(llama.model() + " --prompt ''"), "--prompt: is empty, expected"));
  CHECK(contains(refused(llama.model() + " --ids 1 --prompt a"), "--prompt"));
  CHECK(contains(refused(llama.model() + " --ids 1 --k 2"), "--k is 2, expected 1..1"));
  CHECK(contains(refused(llama.model() + " --ids 1 --tokens -1"), "--tokens is -1"));
  CHECK(contains(refused(llama.model() + " --ids 1 --top-p 0"), "--top-p is 0"));
  CHECK(contains(refused(llama.model() + " --ids 1 --scalar half"), "--scalar is 'half'"));
  CHECK(contains(refused(llama.model() + " --ids 1 --adapter /nowhere"), "/nowhere"));
  CHECK(contains(refused(llama.model() + " --ids 1 --json /nowhere/out"), "/nowhere/out"));
  CHECK(contains(refused(llama.model() + " --ids 1 --colour red"), "--colour"));
  // without a tokenizer.model text cannot be read, whatever the program was built with
  const std::string message = refused(llama.model() + " --prompt hello");
  const bool is_clear = contains(message, "tokenizer.model") || contains(message, "SentencePiece");
  CHECK(is_clear);
}

TEST_CASE("llama_generate prints each warning of model and adapter once", "[examples]") {
  const RandomLlama llama;
  json config = read_figures(llama.model() + "/config.json");
  config["new_idea"] = false;
  llama.write("model/config.json", config.dump());
  Adapter<float> adapter;
  adapter.modules.emplace(
      "model.layers.1.self_attn.q_proj",
      LoraModule<float>(Matrix<float>::Ones(2, 8), Matrix<float>::Zero(24, 2), {.rank = 2}));
  write_peft_adapter(llama.file("zero"), adapter);
  json adapter_config = read_figures(llama.file("zero/adapter_config.json"));
  adapter_config["alpha_pattern"] = {{"k_proj", 3}};
  adapter_config["fan_in_fan_out"] = true;
  llama.write("zero/adapter_config.json", adapter_config.dump());
  const ProgramResult result =
      run_program(llama_generate_program,
                  llama.model() + " --ids 1,5 --tokens 1 --adapter " + llama.file("zero"));
  CAPTURE(result.output);
  CHECK(result.status == 0);
  std::size_t warnings = 0;
  for (std::size_t at = 0; (at = result.output.find("warning: ", at)) != std::string::npos; ++at) {
    ++warnings;
  }
  CHECK(warnings == 4);
  const std::string place = "warning: " + llama.file("zero/");
  CHECK(
      contains(result.output, "warning: " + llama.model() + "/config.json: \"new_idea\" is false"));
  CHECK(contains(result.output, place + "adapter_config.json: alpha_pattern: \"k_proj\" has no"));
  CHECK(contains(result.output, place + "adapter_config.json: fan_in_fan_out is true"));
  CHECK(contains(result.output, place + "adapter_model.safetensors: lora_B is zero at every site"));
}

TEST_CASE("llama_generate puts BOS before a prompt only where the tokenizer has it so",
          "[examples]") {
  const std::optional<std::string> trained = find_trained_llama(true);
  if (!trained) return;
  const RandomLlama llama;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.model"}) {
    std::filesystem::copy_file(*trained + "/" + name, llama.file(std::string("model/") + name),
                               std::filesystem::copy_options::overwrite_existing);
  }
  const auto ids = [&](const std::string& config) {
    llama.write("model/tokenizer_config.json", config);
    return llama.generated("--prompt 'leading space' --tokens 1")["prompt_ids"];
  };
  json with_bos = ids("{}");
  REQUIRE(with_bos[0] == 1);
  json alone = with_bos;
  alone.erase(0);
  CHECK(ids(R"({"add_bos_token": true})") == with_bos);
  CHECK(ids(R"({"add_bos_token": false})") == alone);
  CHECK(ids(R"({"bos_token": null})") == alone);
  CHECK(ids(R"({"add_prefix_space": false})") != with_bos);
}

TEST_CASE("the llama applications explain their options", "[examples]") {
  const ProgramResult generate = run_program(llama_generate_program, "--help");
  CHECK(generate.status == 0);
  for (const char* option :
       {"--ids", "--prompt", "--adapter", "--tokens", "--temperature", "--top-k", "--top-p",
        "--seed", "--scalar", "--logits", "--k", "--json"}) {
    CAPTURE(option);
    CHECK(contains(generate.output, option));
  }
  const ProgramResult continual = run_program(llama_continual_program, "--help");
  CHECK(continual.status == 0);
  for (const char* option :
       {"--task",         "--adapter", "--k",           "--json",        "--report",
        "--save",         "--ask",     "--interactive", "--route-strip", "--epochs",
        "--rate",         "--batch",   "--rank",        "--alpha",       "--seed",
        "--router-width", "--threads", "--subspace",    "--limit-train", "--limit-test",
        "--blend"}) {
    CAPTURE(option);
    CHECK(contains(continual.output, option));
  }
}

TEST_CASE("llama_continual learns tasks of token ids and reports every figure", "[examples]") {
  const RandomLlama llama;
  const std::string extra = GENERATE("", "--subspace none --recompute --blend 1",
                                     "--subspace complement --subspace-rank 3 --schedule cosine");
  CAPTURE(extra);
  const std::string page = llama.file("out.html");
  const std::string state = llama.file("state");
  const ProgramResult result = run_program(
      llama_continual_program,
      llama.model() + " --k 1 --epochs 2 --batch 16 --rank 2 --rate 0.05 " +
          "--router-width 64 --threads 1 " + llama.tasks() + " " + extra + " --report " + page +
          " --save " + state + " --json " + llama.file("out.json"));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, "after learning it, column: asked about"));
  const json figures = read_figures(llama.file("out.json"));
  for (const char* key : {"accuracy_matrix", "average_accuracy", "forgetting", "routing_accuracy",
                          "routing_accuracy_stripped", "oracle_accuracy", "tokens_per_second",
                          "adapter_bytes", "task_details"}) {
    CAPTURE(key);
    CHECK(figures.contains(key));
  }
  CHECK(figures["tasks"] == json({"low<b>", "high"}));
  REQUIRE(figures["accuracy_matrix"].size() == 2);
  CHECK(figures["accuracy_matrix"][0][1].is_null());
  CHECK(figures["accuracy_matrix"][1][0].is_number());
  CHECK(figures["routing_accuracy"] == 1);
  CHECK(figures["routing_accuracy_stripped"].is_null());
  CHECK(figures["adapter_bytes"].size() == 2);
  CHECK(figures["tokens_per_second"].get<double>() > 0);
  CHECK(figures["task_details"][0]["losses"].size() == 2);
  CHECK(figures["task_details"][0]["test_items"] == 7);
  CHECK(figures["task_details"][1]["train_items"] == 54);  // every tenth line was set aside
  CHECK(figures["task_details"][1]["test_items"] == 6);
  CHECK(figures["interference"][1][1] == 1);
  CHECK(figures["interference"][1][0].get<double>() > 0);
  const double bound = figures["interference_bound"][1][0].get<double>();
  const bool is_bounded = contains(extra, "complement");
  CHECK((bound > 0) == is_bounded);
  if (is_bounded) CHECK(figures["interference"][1][0].get<double>() <= bound);
  const bool is_blended = contains(extra, "--blend");
  CHECK(figures["blend"].is_object() == is_blended);
  if (is_blended) {
    CHECK(figures["blend"]["prompts"] > 0);
    CHECK(figures["blend"]["prompts"] <= 13);
    CHECK(figures["blend"]["right_alone"] <= figures["blend"]["prompts"]);
    CHECK(contains(result.output, "unsure prompts: right by the best adapter"));
  }
  CHECK(contains(file_bytes(page), "low&lt;b&gt;"));
  CHECK_FALSE(contains(file_bytes(page), "low<b>"));
  CHECK(std::filesystem::exists(state + "/CURRENT"));
}

TEST_CASE("llama_continual saves to a new folder only, and loads under the same model",
          "[examples][error]") {
  const RandomLlama llama;
  const std::string state = llama.file("state");
  const std::string arguments = llama.model() + " --k 1 --epochs 1 --rank 1 --router-width 16 " +
                                llama.tasks() + " --quiet --save " + state;
  CHECK(run_program(llama_continual_program, arguments).status == 0);
  CHECK(contains(llama.refused(llama_continual_program, arguments), "holds a checkpoint already"));

  const ProgramResult loaded =
      run_program(llama_continual_program, llama.model() + " --k 1 --load " + state);
  CAPTURE(loaded.output);
  CHECK(loaded.status == 0);
  CHECK(contains(loaded.output, "low<b>               60 prompts"));
  CHECK(contains(loaded.output, "high                 54 prompts"));
  const RandomLlama other(8);
  const std::string message =
      llama.refused(llama_continual_program, other.model() + " --k 1 --load " + state);
  const std::size_t first = message.find("|k:1|");
  CHECK(message.find("|k:1|", first + 1) < message.size());  // both fingerprints are named
  CHECK(contains(llama.refused(llama_continual_program, arguments + " --load " + state), "--load"));
}

TEST_CASE("llama_continual names file and line of what it cannot read", "[examples][error]") {
  const RandomLlama llama;
  const std::string good = R"({"prompt": [1, 3], "answer": [4]})"
                           "\n";
  const auto refused = [&](const std::string& lines) {
    const std::string path = llama.write("bad.jsonl", lines);
    const std::string message =
        llama.refused(llama_continual_program, llama.model() + " --k 1 --quiet --task t=" + path);
    return contains(message, path) ? message : "not named in: " + message;
  };
  CHECK(contains(refused(good + "\n{"), "bad.jsonl:3"));
  CHECK(contains(refused(good + "[]"), "bad.jsonl:2: expected an object"));
  CHECK(contains(refused(good + R"({"prompt": [1]})"), "bad.jsonl:2: \"answer\" is missing"));
  CHECK(contains(refused(good + R"({"prompt": "", "answer": "a"})"),
                 "bad.jsonl:2: \"prompt\" is empty"));
  CHECK(contains(refused(good + R"({"prompt": [], "answer": [1]})"),
                 "bad.jsonl:2: \"prompt\" is empty"));
  CHECK(contains(refused(good + R"({"prompt": [1.5], "answer": [1]})"),
                 "bad.jsonl:2: \"prompt\" has 1.5, expected token ids"));
  CHECK(
      contains(refused(good + R"({"prompt": [1], "answer": 1.5})"),
               "bad.jsonl:2: \"answer\" is 1.5, a number that is no integer of 64 bits, expected"));
  CHECK(contains(refused(good + R"({"prompt": [1], "answer": [2], "label": 1})"),
                 "bad.jsonl:2: unknown field \"label\""));
  CHECK(contains(refused(good + good + R"({"prompt": [1], "answer": [11]})"),
                 "bad.jsonl:3: the answer has the token id 11, expected 0..10"));
  json endless{{"prompt", std::vector<int>(64, 3)}, {"answer", {4}}};
  CHECK(contains(refused(good + good + endless.dump()),
                 "bad.jsonl:3: prompt and answer have 65 tokens"));
  CHECK(contains(refused("\n\n"), "has no line"));
  CHECK(contains(refused("[\n" + good + "]\n"), "this file is one array: jq -c '.[]'"));
  const std::string two = refused(good + R"({"prompt": [1]})" + "\n{\n" + good);
  CHECK(contains(two, "2 faults:\n"));
  CHECK(contains(two, "bad.jsonl:2: \"answer\" is missing"));
  CHECK(contains(two, "bad.jsonl:3: broken JSON"));
  const std::string tokens = refused(R"({"prompt": [1], "answer": [11]})"
                                     "\n" +
                                     good +
                                     R"({"prompt": [12], "answer": [1]})"
                                     "\n");
  CHECK(contains(tokens, "bad.jsonl:1: the answer has the token id 11"));
  CHECK(contains(tokens, "bad.jsonl:3: the prompt has the token id 12"));
}

TEST_CASE("llama_continual learns a task of one item", "[examples]") {
  const RandomLlama llama;
  const std::string path = llama.write("one.jsonl", R"({"prompt": [1, 3], "answer": [4]})"
                                                    "\n");
  const ProgramResult result =
      run_program(llama_continual_program, llama.model() + " --k 1 --epochs 1 --task t=" + path +
                                               "," + path + " --task T=" + path + "," + path);
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(contains(result.output,
                 "llama_continual: warning: --task: the name \"T\" differs from "
                 "\"t\""));
}

TEST_CASE("llama_continual says which option is wrong", "[examples][error]") {
  const RandomLlama llama;
  const std::string tasks = " --k 1 --quiet " + llama.tasks() + " ";
  const auto refused = [&](const std::string& arguments) {
    return llama.refused(llama_continual_program, llama.model() + arguments);
  };
  CHECK(contains(refused(""), "--task"));
  CHECK(contains(refused(" --task name"), "--task is 'name', expected NAME=train.jsonl"));
  CHECK(contains(refused(tasks + "--task high=" + llama.file("high.jsonl")), "'high' twice"));
  CHECK(contains(refused(tasks + "--adapter other=x"), "'other', which no --task does"));
  CHECK(contains(refused(tasks + "--adapter high=/nowhere"), "/nowhere"));
  CHECK(contains(refused(tasks + "--subspace mine"), "--subspace is 'mine'"));
  CHECK(contains(refused(tasks + "--schedule steep"), "--schedule is 'steep'"));
  CHECK(contains(refused(tasks + "--sites q"), "site 'q' is unknown"));
  CHECK(contains(refused(tasks + "--route-strip a"), "the prompt is a list of token ids"));
  CHECK(contains(refused(tasks + "--limit-train -5"), "--limit-train is -5, expected 0 or more"));
  CHECK(contains(refused(tasks + "--limit-test -1"), "--limit-test is -1, expected 0 or more"));
  CHECK(contains(refused(" --task name=a,"), "--task is 'name=a,', expected NAME=train.jsonl"));
  CHECK(contains(refused(" --task name=,a"), "--task is 'name=,a', expected NAME=train.jsonl"));
  const std::string save = " --save " + llama.file("new") + " ";
  CHECK(contains(refused(tasks + save + "--rate 0"), "rate is 0"));
  CHECK(contains(refused(tasks + save + "--batch 0"), "batch is 0"));
  CHECK(contains(refused(tasks + save + "--warmup 5"), "warmup is 5"));
  CHECK(contains(refused(tasks + save + "--sites q"), "site 'q' is unknown"));
  CHECK(contains(refused(tasks + save + "--tokens -1"), "--tokens is -1, expected 0 or more"));
  CHECK(contains(refused(tasks + save + "--alpha 1e300"), "--alpha is 1e+300, too large"));
  CHECK(contains(refused(tasks + save + "--ridge 1e39"), "--ridge is 1e+39, expected at most"));
  CHECK(contains(refused(tasks + save + "--router-width 0"), "--router-width is 0"));
  CHECK(contains(refused(tasks + save + "--k 9"), "--k is 9"));
  CHECK(contains(refused(tasks + save + "--blend 1e300"), "--blend is 1e+300, expected 0 to 1"));
  CHECK_FALSE(std::filesystem::exists(llama.file("new")));
  std::filesystem::create_directory(llama.file("used"));
  llama.write("used/file", "mine");
  CHECK(contains(refused(tasks + "--save " + llama.file("used")), "which holds 'file' already"));
  CHECK(contains(refused(tasks + "--report /nowhere/page"), "/nowhere/page"));
  CHECK(contains(refused(tasks + "--colour red"), "--colour"));
  CHECK(
      contains(llama.refused(llama_continual_program, "/nowhere/model" + tasks), "/nowhere/model"));
}

TEST_CASE("llama_generate gives the golden continuations of a trained model",
          "[examples][golden]") {
  const auto model = find_trained_llama(false);
  if (!model) return;
  const std::string variant = GENERATE("base", "agnews", "banking", "domain");
  CAPTURE(variant);
  const json golden = read_figures(*model + "/golden.json");
  const TemporaryFolder folder;
  const std::string adapter =
      variant == "base" ? "" : " --adapter '" + *model + "/adapters/" + variant + "'";
  for (const json& prompt : golden["prompts"]) {
    std::string ids;
    for (const json& id : prompt["ids"]) ids += (ids.empty() ? "" : ",") + id.dump();
    const ProgramResult result = run_program(
        llama_generate_program, "'" + *model + "' --ids " + ids + adapter +
                                    " --tokens 32 --ignore-eos --scalar double --json " +
                                    folder.file("out.json"));
    CAPTURE(prompt["name"].dump(), result.output);
    REQUIRE(result.status == 0);
    CHECK(read_figures(folder.file("out.json"))["ids"] == prompt["variants"][variant]["greedy"]);
  }
}

TEST_CASE("llama_continual routes the prompts of a trained model to their adapters",
          "[examples][golden]") {
  const auto model = find_trained_llama(true);
  if (!model) return;
  const TemporaryFolder folder;
  std::string arguments = "'" + *model + "' --limit-train 400 --limit-test 25 ";
  for (const std::string task : {"banking", "agnews", "domain"}) {
    const std::string data = *model + "/data/" + task;
    arguments += "--task '" + task + "=" + data + ".train.jsonl," + data + ".test.jsonl' ";
    arguments += "--adapter '" + task + "=" + *model + "/adapters/" + task + "' ";
  }
  const ProgramResult result = run_program(
      llama_continual_program,
      arguments + "--route-strip Category:,Article:,Request:,Intent:,Message:,Domain: " +
          "--ask 'Request: what is my routing number\\nIntent:' --json " + folder.file("out.json") +
          " --report " + folder.file("out.html"));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, "task        banking\nconfidence  "));
  const json figures = read_figures(folder.file("out.json"));
  CHECK(figures["routing_accuracy"].get<double>() >= 0.99);
  CHECK(figures["routing_accuracy_stripped"].get<double>() >= 0.8);  // of few rows
  CHECK(figures["forgetting"].get<double>() <= 0.02);
  CHECK(figures["average_accuracy"].get<double>() >=
        figures["oracle_accuracy"].get<double>() - 0.02);
  CHECK(figures["task_details"][0]["accuracy"].get<double>() >= 0.6);
  CHECK(contains(file_bytes(folder.file("out.html")), "what"));
}

TEST_CASE("llama_continual trains an adapter that a trained model answers with",
          "[examples][golden]") {
  const auto model = find_trained_llama(true);
  if (!model) return;
  const TemporaryFolder folder;
  const std::string subspace = GENERATE("own", "complement --subspace-rank 60");
  std::string arguments = "'" + *model + "' --limit-train 400 --limit-test 100 --epochs 10 ";
  arguments += "--rate 0.01 --schedule cosine --batch 16 --quiet --subspace " + subspace + " ";
  for (const std::string task : {"domain", "banking"}) {
    const std::string data = *model + "/data/" + task;
    arguments += "--task '" + task + "=" + data + ".train.jsonl," + data + ".test.jsonl' ";
  }
  const ProgramResult result =
      run_program(llama_continual_program, arguments + "--json " + folder.file("out.json"));
  CAPTURE(subspace, result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(folder.file("out.json"));
  CHECK(figures["task_details"][0]["accuracy"].get<double>() >= 0.2);  // the base: 0
  CHECK(figures["task_details"][1]["accuracy"].get<double>() >= 0.3);
  CHECK(figures["forgetting"].get<double>() <= 0.02);
}
