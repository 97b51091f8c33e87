// SPDX-License-Identifier: MIT
#include "anyssr/io/safetensors_writer.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <locale>
#include <span>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

template <class X>
concept CanAddReference = requires(SafetensorsWriter writer, X&& x) {
  writer.add_reference("x", std::forward<X>(x));
};

template <class X>
concept CanAdd = requires(SafetensorsWriter writer, X&& x) {
  writer.add("x", std::forward<X>(x));
};

/// The bytes that a writer makes.
std::string written(const SafetensorsWriter& writer) {
  const TemporaryFolder folder;
  writer.write(folder.file("w"));
  return file_bytes(folder.file("w"));
}

void append(std::string& text, std::span<const std::byte> bytes) {
  const std::size_t before = text.size();
  text.resize(before + bytes.size());
  std::ranges::copy(bytes, std::as_writable_bytes(std::span(text).subspan(before)).begin());
}

std::string refused(const std::function<void(SafetensorsWriter&)>& add) {
  SafetensorsWriter writer;
  writer.add("taken", std::vector<float>{1});
  const std::string before = written(writer);
  std::string message = message_of<ArgumentError>([&] { add(writer); });
  CHECK(written(writer) == before);
  return message;
}

}  // namespace

static_assert(CanAddReference<Matrix<float>&> && CanAddReference<const RowMajorMatrix<double>&>);
static_assert(!CanAddReference<Matrix<float>> && !CanAddReference<const Matrix<float>>);
static_assert(CanAdd<Matrix<float>> && CanAdd<std::vector<std::int64_t>&>);
static_assert(CanAdd<std::span<const double>> && CanAdd<std::array<std::uint8_t, 3>>);
static_assert(!CanAdd<std::vector<bool>> && !CanAdd<std::string> && !CanAdd<Matrix<long double>>);
static_assert(std::is_copy_constructible_v<SafetensorsWriter>);

TEST_CASE("a written file is the expected one byte by byte", "[io][golden]") {
  Matrix<float> weights(2, 2);  // column-major: the file is row-major
  weights << 1, 2, 3, -0.5F;
  SafetensorsWriter writer;
  writer.add("half", Vector<double>{{1.0, 65504.0, 0.1}}, Dtype::F16);
  writer.add("weights", weights);
  writer.add("labels", std::vector<std::int64_t>{-1, 258});
  writer.add("flags", std::array{true, false, true});
  writer.add("a", std::array{2.0}, {});
  writer.add("empty", Matrix<float>(0, 7));
  writer.set_metadata("b", "\"\\\n\x01");
  writer.set_metadata("format", "np");
  writer.set_metadata("format", "pt");
  const std::string header = R"({"__metadata__":{"b":"\"\\\n\u0001","format":"pt"},)"
                             R"("a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                             R"("labels":{"dtype":"I64","shape":[2],"data_offsets":[8,24]},)"
                             R"("empty":{"dtype":"F32","shape":[0,7],"data_offsets":[24,24]},)"
                             R"("weights":{"dtype":"F32","shape":[2,2],"data_offsets":[24,40]},)"
                             R"("half":{"dtype":"F16","shape":[3],"data_offsets":[40,46]},)"
                             R"("flags":{"dtype":"BOOL","shape":[3],"data_offsets":[46,49]}})";
  const std::string data =
      "\0\0\0\0\0\0\0\x40"                                    // a
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02\x01\0\0\0\0\0\0"  // labels
      "\0\0\x80\x3F\0\0\0\x40\0\0\x40\x40\0\0\0\xBF"          // weights
      "\0\x3C\xFF\x7B\x66\x2E"                                // half
      "\x01\0\x01"s;                                          // flags
  const std::size_t padding = (8 - header.size() % 8) % 8;
  REQUIRE(padding == 4);
  CHECK(written(writer) == safetensors_bytes(header + "    ", data));
}

TEST_CASE("a file without tensors is an empty object with padding", "[io][golden]") {
  CHECK(written({}) == "\x08\0\0\0\0\0\0\0{}      "s);
}

TEST_CASE("the same state gives the same bytes in any order of adding", "[io][property]") {
  const Matrix<double> a = random_normal<double>(5, 3, 1);
  const Matrix<float> b = random_normal<float>(4, 4, 2);
  SafetensorsWriter first;
  first.add("z", a);
  first.add("a", b);
  first.add("m", a, Dtype::BF16);
  first.set_metadata("x", "1");
  first.set_metadata("a", "2");
  SafetensorsWriter second;
  second.set_metadata("a", "2");
  second.add("m", RowMajorMatrix<double>(a), Dtype::BF16);
  second.add("a", b.transpose().eval().transpose());
  second.set_metadata("x", "1");
  second.add_reference("z", a);
  CHECK(written(first) == written(second));
  CHECK(written(SafetensorsWriter(first)) == written(first));
}

TEMPLATE_TEST_CASE("matrices come back bit for bit from either storage order", "[io][property]",
                   float, double) {
  using S = TestType;
  const auto [rows, cols] = GENERATE(table<Index, Index>(
      {{1, 1}, {3, 5}, {1, 40'000}, {40'000, 1}, {700, 301}, {2, 70'001}, {0, 3}, {3, 0}}));
  CAPTURE(rows, cols);
  Matrix<S> x = random_normal<S>(rows, cols, 3);
  if (x.size() > 0) x(0, 0) = -std::numeric_limits<S>::infinity();
  if (x.size() > 0) x(rows - 1, cols - 1) = std::numeric_limits<S>::denorm_min();
  const RowMajorMatrix<S> by_rows = x;
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add("columns", x);
  writer.add("rows", by_rows);
  writer.add_reference("columns by reference", x);
  writer.add_reference("rows by reference", by_rows);
  writer.add("moved", Matrix<S>(x));
  writer.add("block", x.topRows(rows));
  writer.add("transposed", by_rows.transpose());
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  for (const char* name :
       {"columns", "rows", "columns by reference", "rows by reference", "moved", "block"}) {
    CAPTURE(name);
    CHECK((reader.matrix<S>(name, rows, cols) == by_rows));
  }
  CHECK((reader.matrix<S>("transposed", cols, rows) == RowMajorMatrix<S>(x.transpose())));
}

TEST_CASE("float goes to double and back without a change", "[io][property]") {
  const Matrix<float> x = random_normal<float>(17, 9, 4);
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add("wide", x, Dtype::F64);
  writer.add("narrow", Matrix<double>(x.cast<double>()), Dtype::F32);
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  CHECK(reader.tensor("wide").dtype == Dtype::F64);
  CHECK(reader.tensor("narrow").dtype == Dtype::F32);
  CHECK((reader.matrix<float>("wide") == RowMajorMatrix<float>(x)));
  CHECK((reader.matrix<float>("narrow") == RowMajorMatrix<float>(x)));
  CHECK((reader.matrix<double>("narrow") == RowMajorMatrix<double>(x.cast<double>())));
}

TEMPLATE_TEST_CASE("numbers are rounded to 16 bits on the way", "[io][property]", float, double) {
  using S = TestType;
  Matrix<S> x = random_normal<S>(300, 250, 5);
  x(7, 9) = std::numeric_limits<S>::quiet_NaN();
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add("f16", x, Dtype::F16);
  writer.add("bf16", x, Dtype::BF16);
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  const RowMajorMatrix<S> f16 = reader.matrix<S>("f16");
  const RowMajorMatrix<S> bf16 = reader.matrix<S>("bf16");
  int wrong = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) {
      const bool is_nan = i == 7 && j == 9;
      const bool nans = std::isnan(f16(i, j)) && std::isnan(bf16(i, j));
      const bool equal =
          f16(i, j) == S(from_f16(to_f16(x(i, j)))) && bf16(i, j) == S(from_bf16(to_bf16(x(i, j))));
      if (is_nan ? !nans : !equal) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("integers of every kind come back as they were", "[io][property]") {
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  writer.add("i64", std::vector<Index>{std::numeric_limits<Index>::min(), 3});
  writer.add("u64", std::vector<std::uint64_t>{~std::uint64_t{}});
  writer.add("i32", std::vector<int>{-5, 6, 7, 8}, {2, 2});
  writer.add("u32", std::vector<unsigned>{~0U});
  writer.add("i16", std::vector<short>{-32768});
  writer.add("u16", std::vector<std::uint16_t>{65535});
  writer.add("i8", std::vector<std::int8_t>{-128});
  writer.add("u8", std::span<const std::uint8_t>(std::vector<std::uint8_t>{255}));
  writer.add("bool", Eigen::Matrix<bool, 1, 2>(true, false));
  writer.add("matrix", Eigen::MatrixXi{{1, 2, 3}, {4, 5, 6}});
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  CHECK(reader.integers<Index>("i64") == std::vector<Index>{std::numeric_limits<Index>::min(), 3});
  CHECK(reader.integers<std::uint64_t>("u64") == std::vector<std::uint64_t>{~std::uint64_t{}});
  CHECK(reader.integers<long>("i32") == std::vector<long>{-5, 6, 7, 8});
  CHECK(reader.tensor("i32").shape == std::vector<std::uint64_t>{2, 2});
  CHECK(reader.integers<unsigned>("u32") == std::vector<unsigned>{~0U});
  CHECK(reader.integers<int>("i16") == std::vector<int>{-32768});
  CHECK(reader.integers<int>("u16") == std::vector<int>{65535});
  CHECK(reader.integers<int>("i8") == std::vector<int>{-128});
  CHECK(reader.integers<int>("u8") == std::vector<int>{255});
  CHECK(reader.integers<int>("bool") == std::vector<int>{1, 0});
  CHECK(reader.tensor("bool").dtype == Dtype::BOOL);
  CHECK(reader.integers<int>("matrix") == std::vector<int>{1, 2, 3, 4, 5, 6});
  CHECK(reader.tensor("matrix").shape == std::vector<std::uint64_t>{2, 3});
}

TEST_CASE("what was added lives on in the writer when its source is gone", "[io]") {
  SafetensorsWriter writer;
  {
    Matrix<double> x = Matrix<double>::Constant(3, 2, 7);
    std::vector<float> list{1, 2};
    writer.add("x", x);
    writer.add("list", list);
    x.setZero();
    list[0] = 0;
  }
  const TemporaryFolder folder;
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  CHECK((reader.matrix<double>("x") == RowMajorMatrix<double>::Constant(3, 2, 7)));
  CHECK(reader.numbers<float>("list") == std::vector<float>{1, 2});
}

TEST_CASE("a referenced matrix is written as it is then and not if resized", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("f");
  Matrix<float> x = Matrix<float>::Zero(2, 3);
  SafetensorsWriter writer;
  writer.add_reference("x", x);
  x.setOnes();
  writer.write(path);
  CHECK((SafetensorsReader(path).matrix<float>("x") == RowMajorMatrix<float>::Ones(2, 3)));
  const std::string before = file_bytes(path);
  x.resize(3, 2);
  CHECK(message_of<ArgumentError>([&] { writer.write(path); }) ==
        "tensor \"x\" is 3 x 2, expected 2 x 3, as it was when its reference was added");
  CHECK(file_bytes(path) == before);
}

TEST_CASE("names that the format cannot carry are refused", "[io][error]") {
  const std::vector<float> values{1};
  CHECK(refused([&](SafetensorsWriter& w) { w.add("__metadata__", values); }) ==
        "tensor \"__metadata__\": the format keeps that name for itself");
  CHECK(refused([&](SafetensorsWriter& w) { w.add("taken", values); }) ==
        "tensor \"taken\" was added before");
  CHECK(refused([&](SafetensorsWriter& w) { w.add("taken", Matrix<double>(1, 1)); }) ==
        "tensor \"taken\" was added before");
  CHECK(refused([&](SafetensorsWriter& w) { w.add_bytes("taken", Dtype::U8, {0}, {}); }) ==
        "tensor \"taken\" was added before");
  CHECK(refused([&](SafetensorsWriter& w) { w.add("a\0b"s, values); }) ==
        "tensor \"a\\u0000b\" has a NUL byte in its name");
  CHECK(refused([&](SafetensorsWriter& w) { w.add("a\xFF", values); }) ==
        "tensor name \"a\xEF\xBF\xBD\" has byte 0xFF, expected UTF-8");
  CHECK(refused([&](SafetensorsWriter& w) { w.set_metadata("k\xC0\x80", "v"); }) ==
        "metadata key \"k\xEF\xBF\xBD\xEF\xBF\xBD\" has byte 0xC0, expected UTF-8");
  CHECK(refused([&](SafetensorsWriter& w) { w.set_metadata("k", "\xED\xA0\x80"); }) ==
        "metadata value \"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\" has byte 0xED, expected UTF-8");
}

TEST_CASE("types and shapes that do not fit are refused", "[io][error]") {
  const Matrix<float> x(2, 2);
  const std::vector<int> list{1, 2, 3};
  CHECK(refused([&](SafetensorsWriter& w) { w.add("x", x, Dtype::I64); }) ==
        "tensor \"x\" of F32 cannot be written as I64, expected F64, F32, F16, BF16");
  CHECK(refused([&](SafetensorsWriter& w) { w.add("x", Eigen::MatrixXi(1, 1), Dtype::F32); }) ==
        "tensor \"x\" of I32 cannot be written as F32, expected I32");
  CHECK(refused([&](SafetensorsWriter& w) {
          w.add("x", list, {2, 2});
        }) == "tensor \"x\" has 12 bytes, expected 16 for shape [2, 2] of I32");
  CHECK(refused([&](SafetensorsWriter& w) { w.add_bytes("x", Dtype::F32, {}, {}); }) ==
        "tensor \"x\" has 0 bytes, expected 4 for shape [] of F32");
  CHECK(refused([&](SafetensorsWriter& w) { w.add_bytes("x", Dtype::F4, {3}, {}); }) ==
        "tensor \"x\" has shape [3] of F4, expected a whole number of bytes below 2^61");
  const std::uint64_t huge = std::uint64_t{1} << 63U;
  CHECK(refused([&](SafetensorsWriter& w) {
          w.add_bytes("x", Dtype::U8, {huge, 2}, {});
        }) ==
        "tensor \"x\" has shape [9223372036854775808, 2] of U8, expected a whole number of bytes "
        "below 2^61");
  CHECK(refused([&](SafetensorsWriter& w) {
          w.add_bytes("x", Dtype::U8, std::vector<std::uint64_t>(65, 1), std::vector<std::byte>(1));
        }) == "tensor \"x\" has 65 dimensions, expected at most 64");
}

TEST_CASE("the program's locale does not change what is written", "[io][regression]") {
  struct Grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  SafetensorsWriter writer;
  writer.add("x", Matrix<float>::Zero(1234, 5).eval());
  const std::string before = written(writer);
  const std::locale old = std::locale::global(std::locale(std::locale(), new Grouped));
  const std::string after = written(writer);
  std::locale::global(old);
  CHECK(after == before);
  CHECK(contains(before, "\"shape\":[1234,5],\"data_offsets\":[0,24680]"));
}

TEST_CASE("names and metadata of any letters come back", "[io]") {
  const TemporaryFolder folder;
  const std::string name = "\"}\\/\n\x7F \xC3\xA4\xF0\x9F\x98\x80";
  SafetensorsWriter writer;
  writer.add(name, std::vector<double>{4});
  writer.add("", std::vector<double>{5});
  writer.set_metadata("k\0"s + name, "v\0"s + name);
  writer.write(folder.file("f"));
  const SafetensorsReader reader(folder.file("f"));
  CHECK(reader.numbers<double>(name) == std::vector<double>{4});
  CHECK(reader.numbers<double>("") == std::vector<double>{5});
  CHECK(reader.metadata().at("k\0"s + name) == "v\0"s + name);
}

TEST_CASE("a write that fails leaves the old file and no other", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("f");
  SafetensorsWriter small;
  small.add("x", std::vector<float>{1});
  small.write(path);
  const std::string before = file_bytes(path);
  SafetensorsWriter large;
  large.add("x", Matrix<float>::Zero(100, 100).eval(), Dtype::BF16);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the limit is the child's alone; no test macros here
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of<FileError>([&] { large.write(path); });
    _exit(message == path + ": cannot be written: File too large" ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(file_bytes(path) == before);
  CHECK(std::distance(fs::directory_iterator(folder.file("")), fs::directory_iterator()) == 1);
  CHECK(message_of<FileError>([&] { large.write(folder.file("no/f")); }) ==
        folder.file("no/f") + ": cannot be written: No such file or directory");
}

TEST_CASE("a stream has the bytes of the file in their order", "[io][property]") {
  const Matrix<float> x = random_normal<float>(300, 301, 6);
  SafetensorsWriter writer;
  writer.add("columns", x);
  writer.add("half", x, Dtype::F16);
  writer.add("labels", std::vector<Index>{1, 2, 3});
  writer.set_metadata("format", "pt");
  std::string streamed;
  writer.stream([&](std::span<const std::byte> bytes) { append(streamed, bytes); });
  CHECK((streamed == written(writer)));
  CHECK(message_of<ArgumentError>([&] { writer.stream(nullptr); }) ==
        "sink is empty, expected a function");
}

TEST_CASE("elements that are made while the file is written stand where copies would", "[io]") {
  const std::string data = "\x01\x02\x03\x04\x05\x06\x07\x08"s;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data));
  SafetensorsWriter copied;
  copied.add("last", std::vector<std::int8_t>{9});
  copied.add_bytes("t", Dtype::F32, {2, 1}, {bytes.begin(), bytes.end()});
  copied.add_bytes("none", Dtype::F64, {0}, {});
  int asked = 0;
  SafetensorsWriter writer;
  writer.add_streamed("t", Dtype::F32, {2, 1}, [&](const SafetensorsWriter::Sink& sink) {
    ++asked;
    sink(bytes.first(3));  // where a piece ends has nothing to do with elements
    sink({});
    sink(bytes.subspan(3));
  });
  writer.add_streamed("none", Dtype::F64, {0}, [](const SafetensorsWriter::Sink&) {});
  writer.add("last", std::vector<std::int8_t>{9});
  CHECK(asked == 0);
  CHECK(written(writer) == written(copied));
  CHECK(written(writer) == written(copied));
  CHECK(asked == 2);
}

TEST_CASE("a tensor that sends other bytes than planned leaves the old file", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("f", "old");
  const std::vector<std::byte> bytes(9);
  const auto message = [&](const std::function<void(const SafetensorsWriter::Sink&)>& send) {
    SafetensorsWriter writer;
    writer.add_streamed("t", Dtype::F32, {2}, send);
    std::string text = message_of<ArgumentError>([&] { writer.write(path); });
    CHECK(file_bytes(path) == "old");
    CHECK(std::distance(fs::directory_iterator(folder.file("")), fs::directory_iterator()) == 1);
    return text;
  };
  const std::span<const std::byte> all(bytes);
  const std::string expected = " bytes, expected 8 for shape [2] of F32";
  CHECK(message([&](const auto& sink) { sink(all.first(7)); }) == "tensor \"t\" sent 7" + expected);
  CHECK(message([](const auto&) {}) == "tensor \"t\" sent 0" + expected);
  CHECK(message([&](const auto& sink) { sink(all); }) == "tensor \"t\" sent at least 9" + expected);
  CHECK(message([&](const auto& sink) {
          while (true) sink(all.first(3));
        }) == "tensor \"t\" sent at least 9" + expected);
}

TEST_CASE("a tensor that goes on after the sink has failed is short", "[io][error]") {
  const std::vector<std::byte> bytes(4);
  SafetensorsWriter writer;
  writer.add_streamed("t", Dtype::U8, {4}, [&](const SafetensorsWriter::Sink& sink) {
    try {
      sink(bytes);
    } catch (const FileError&) {
    }
  });
  const auto full = [&](std::span<const std::byte> piece) {
    if (piece.data() == bytes.data()) throw FileError("full");
  };
  CHECK(message_of<ArgumentError>([&] { writer.stream(full); }) ==
        "tensor \"t\" sent 0 bytes, expected 4 for shape [4] of U8");
}

TEST_CASE("what a sink or a tensor throws reaches the caller", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("f", "old");
  SafetensorsWriter writer;
  writer.add_streamed("t", Dtype::U8, {4}, [](const SafetensorsWriter::Sink&) {
    throw FormatError("the source is broken");
  });
  CHECK(message_of<FormatError>([&] { writer.write(path); }) == "the source is broken");
  CHECK(file_bytes(path) == "old");
  CHECK(message_of<FileError>([&] {
          writer.stream([](std::span<const std::byte>) { throw FileError("full"); });
        }) == "full");
}

TEST_CASE("a tensor that cannot be streamed is refused when it is added", "[io][error]") {
  const auto nothing = [](const SafetensorsWriter::Sink&) {};
  CHECK(refused([&](SafetensorsWriter& w) { w.add_streamed("x", Dtype::U8, {1}, nullptr); }) ==
        "tensor \"x\" has nothing to send it, expected a function");
  CHECK(refused([&](SafetensorsWriter& w) { w.add_streamed("taken", Dtype::U8, {1}, nothing); }) ==
        "tensor \"taken\" was added before");
  CHECK(refused([&](SafetensorsWriter& w) { w.add_streamed("x", Dtype::F4, {3}, nothing); }) ==
        "tensor \"x\" has shape [3] of F4, expected a whole number of bytes below 2^61");
}

TEST_CASE("a mapped file is copied tensor by tensor without memory of its own", "[io]") {
  const TemporaryFolder folder;
  SafetensorsWriter first;
  first.add("a", random_normal<float>(40, 30, 7));
  first.add("b", std::vector<std::uint8_t>{1, 2, 3});
  first.write(folder.file("first"));
  const SafetensorsReader reader(folder.file("first"), {.mapped = true});
  SafetensorsWriter second;
  for (const TensorInfo& info : reader.tensors()) {
    second.add_streamed(info.name, info.dtype, info.shape,
                        [&reader, name = info.name](const SafetensorsWriter::Sink& sink) {
                          sink(reader.view(name));
                        });
  }
  CHECK((written(second) == file_bytes(folder.file("first"))));
}

TEST_CASE("every tensor of a trained model survives reading and writing", "[io][property]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const fs::path model = fs::path(extra) / "models" / "tiny-llama";
  const TemporaryFolder folder;
  int files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(model)) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    CAPTURE(entry.path().string());
    const SafetensorsReader original(entry.path());
    SafetensorsWriter raw;  // every tensor as bytes, and as numbers
    SafetensorsWriter converted;
    for (const auto& [key, value] : original.metadata()) raw.set_metadata(key, value);
    for (const TensorInfo& tensor : original.tensors()) {
      raw.add_bytes(tensor.name, tensor.dtype, tensor.shape, original.bytes(tensor.name));
      if (kind_of(tensor.dtype) != DtypeKind::number) continue;
      const std::vector<double> wide = original.numbers<double>(tensor.name);
      converted.add(tensor.name,
                    Eigen::Map<const Vector<double>>(wide.data(), static_cast<Index>(wide.size())),
                    tensor.dtype);
    }
    raw.write(folder.file("raw"));
    converted.write(folder.file("converted"));
    const SafetensorsReader again(folder.file("raw"));
    const SafetensorsReader rounded(folder.file("converted"));
    CHECK(again.metadata() == original.metadata());
    CHECK(again.tensors().size() == original.tensors().size());
    for (const TensorInfo& tensor : original.tensors()) {
      CAPTURE(tensor.name);
      const std::vector<std::byte> bytes = original.bytes(tensor.name);
      CHECK(again.tensor(tensor.name).dtype == tensor.dtype);
      CHECK(again.tensor(tensor.name).shape == tensor.shape);
      CHECK((again.bytes(tensor.name) == bytes));
      if (kind_of(tensor.dtype) == DtypeKind::number) {
        CHECK((rounded.bytes(tensor.name) == bytes));
      }
    }
  }
  CHECK(files >= 6);  // the model, two goldens and three adapters
}
