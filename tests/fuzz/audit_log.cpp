// SPDX-License-Identifier: MIT
// A file of an audit log: read, verified and gone on from. The same bytes as the strings of an
// event must give a line that reads back.
#include "anyssr/io/audit_log.hpp"
#include "anyssr/io/audit_verification.hpp"
#include "fuzz/fuzz_input.hpp"

namespace {

void expect_line_reads_back(std::string_view text) {
  static anyssr::detail::AuditLineBuilder builder("salt", true);
  const anyssr::ScoredTask top{.task = text, .score = 0.5};
  builder.build({.seq = 1}, anyssr::RouteEvent{.query = text,
                                               .task = text,
                                               .outcome = "routed",
                                               .top = {&top, 1},
                                               .policy = text,
                                               .input = text});
  const std::string_view line = builder.line();
  const anyssr::AuditRecord record =
      anyssr::detail::parse_audit_line(line.substr(0, line.size() - 1), "line");
  const bool is_cut = record.fields.contains("cut");
  if (line.find('\n') != line.size() - 1 || line.size() > (64 << 10)) std::abort();
  if (is_cut || text.empty() || anyssr::detail::find_invalid_utf8(text) != std::string_view::npos) {
    return;
  }
  for (const char* key : {"query", "task", "policy", "text"}) {
    if (record.fields.at(key).get_ref<const std::string&>() != text) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  expect_line_reads_back(anyssr::fuzz::as_text(data, size));
  const anyssr::fuzz::InputFile file(data, size);
  anyssr::fuzz::run([&] { (void)anyssr::detail::find_audit_tail(file.path()); });
  anyssr::fuzz::run([&] { anyssr::read_audit(file.path(), [](const anyssr::AuditRecord&) {}); });
  return anyssr::fuzz::run([&] {
    const anyssr::AuditVerification found = anyssr::verify_audit_log(file.path());
    if (found.lines == 0) return;
    // its own head is one of its lines
    if (anyssr::verify_audit_log(file.path(), found.head).ok() != found.ok()) std::abort();
  });
}
