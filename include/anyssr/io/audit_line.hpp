// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// An event as one line of the audit log: a JSON object with its keys in a fixed order, at most
/// 64 KiB with its end of line.
///
///   {"v":1,"seq":812,"time":"2026-01-31T12:00:00.000123Z","event":"route","generation":7,
///    "query":"q-17","task":"billing","outcome":"routed","confidence":0.93,"margin":0.41,
///    "novelty":null,"top":[["billing",0.88],["cards",0.47]],"policy":"default",
///    "prev":"sha256:<64 digits>"}            (on one line)
///
/// Numbers are the shortest that read back as the same double; NaN and infinity are null. Bytes of
/// a string that are no UTF-8 become U+FFFD. `prev` is the digest of the line before.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "anyssr/core/audit_event.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/io/sha256.hpp"
#include "anyssr/io/utf8.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

inline constexpr std::size_t max_audit_line_bytes = std::size_t{64} << 10;  // with its \n

inline constexpr std::string_view audit_digest_prefix = "sha256:";

/// What stands before the first line: 64 zeros.
inline constexpr Sha256::Digest no_audit_line{};

inline void append_hex(std::string& text, std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<std::size_t>(byte >> 4U)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
}

inline void append_audit_digest(std::string& text, const Sha256::Digest& digest) {
  text += audit_digest_prefix;
  append_hex(text, digest);
}

/// "sha256:<64 digits>"
[[nodiscard]] inline std::string audit_digest_text(const Sha256::Digest& digest) {
  std::string text;
  append_audit_digest(text, digest);
  return text;
}

/// Of a line without its \n.
[[nodiscard]] inline Sha256::Digest audit_digest(std::string_view line) noexcept {
  Sha256 hash;
  hash.update(line);
  return hash.digest();
}

inline void append_json_number(std::string& text, double number) {
  if (!is_finite(number)) {
    text += "null";
    return;
  }
  std::array<char, 32> digits{};  // at most 24 are needed
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text.append(digits.data(), end);
}

template <std::integral I>
void append_json_number(std::string& text, I number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text.append(digits.data(), end);
}

/// Bytes at the start that a JSON string holds as they are: printable ASCII but " and the
/// backslash.
[[nodiscard]] inline std::size_t plain_json_bytes(std::string_view text) noexcept {
  std::size_t count = 0;
  while (count < text.size() && text[count] >= ' ' && text[count] <= '~' && text[count] != '"' &&
         text[count] != '\\') {
    ++count;
  }
  return count;
}

/// What a JSON string holds for a quote, a backslash or a control character.
class JsonEscape {
 public:
  explicit JsonEscape(char letter) noexcept {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::string_view letters = "\"\\\b\f\n\r\t";
    constexpr std::string_view names = "\"\\bfnrt";
    const std::size_t short_form = letters.find(letter);
    if (short_form != std::string_view::npos) {
      text_ = {'\\', names[short_form]};
      size_ = 2;
    } else {
      const auto value = static_cast<unsigned char>(letter);
      text_ = {'\\', 'u', '0', '0', digits[value >> 4U], digits[value & 15U]};
      size_ = 6;
    }
  }
  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, 6> text_{};
  std::size_t size_ = 0;
};

/// Appends a JSON string with at most `most` bytes between its quotes; no escape and no character
/// is cut in two. Whether all of `text` went in.
inline bool append_json_string(std::string& line, std::string_view text, std::size_t most) {
  line += '"';
  while (!text.empty()) {
    std::size_t taken = plain_json_bytes(text);
    if (taken > 0) {
      taken = std::min(taken, most);
      line += text.substr(0, taken);
      most -= taken;
      if (taken == 0) break;
    } else {
      const std::size_t length = utf8_length(text);
      const JsonEscape escape(text.front());
      const std::string_view piece = length == 0                   ? "\xEF\xBF\xBD"
                                     : length > 1 || text[0] > '~' ? text.substr(0, length)
                                                                   : escape.text();
      if (piece.size() > most) break;
      line += piece;
      most -= piece.size();
      taken = std::max<std::size_t>(length, 1);
    }
    text.remove_prefix(taken);
  }
  line += '"';
  return text.empty();
}

/// Moments as text, RFC 3339 in UTC with microseconds. Day and second are worked out once a second.
class AuditClock {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// Valid until the next call.
  [[nodiscard]] std::string_view text(Time now) {
    using namespace std::chrono;
    const auto second = floor<seconds>(now);
    if (second != second_) set_second(second);
    auto rest = static_cast<unsigned>(duration_cast<microseconds>(now - second).count());
    for (std::size_t i = 6; i-- > 0; rest /= 10) {
      text_[fraction_at + i] = static_cast<char>('0' + rest % 10);
    }
    return text_;
  }

 private:
  using Second = std::chrono::time_point<std::chrono::system_clock, std::chrono::seconds>;
  static constexpr std::size_t fraction_at = 20;

  void set_second(Second second) {
    using namespace std::chrono;
    const auto day = floor<days>(second);
    const year_month_day date(day);
    const hh_mm_ss<seconds> clock(second - day);
    std::array<char, 64> text{};
    const int size = std::snprintf(
        text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.000000Z",
        static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
        static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    text_.assign(text.data(), static_cast<std::size_t>(size));
    second_ = second;
  }

  Second second_ = Second::max();
  std::string text_;
};

/// What every line has beside its event.
struct AuditPlace {
  std::uint64_t seq = 0;
  AuditClock::Time time = {};
  Sha256::Digest prev = no_audit_line;  ///< digest of the line before
};

/// Makes lines in a buffer of its own: after the first ones it allocates nothing.
class AuditLineBuilder {
 public:
  AuditLineBuilder(std::string_view salt, bool write_inputs) : write_inputs_(write_inputs) {
    salted_.update(salt);
  }

  /// A line that would be too long loses the end of `text` first. Where that is not enough, query
  /// and names are cut too. The line then has "cut":true.
  template <class Event>
  void build(const AuditPlace& place, const Event& event) {
    limits_ = {};
    write(place, event);
    if (line().size() <= max_audit_line_bytes) return;
    limits_ = {.name = 4 << 10, .query = 8 << 10};  // eight names and a query: 40 KiB
    write(place, event);
  }

  /// The line with its \n, valid until the next build.
  [[nodiscard]] std::string_view line() const noexcept { return after_open_line().substr(1); }
  /// With one more \n before it, which ends a line that was left open.
  [[nodiscard]] std::string_view after_open_line() const noexcept { return buffer_; }
  [[nodiscard]] Sha256::Digest digest() const noexcept {
    return audit_digest(line().substr(0, line().size() - 1));
  }

 private:
  struct Limits {
    std::size_t name = max_audit_line_bytes;
    std::size_t query = max_audit_line_bytes;
  };
  static constexpr std::size_t tail_bytes = 128;  // at least those of `text`, `cut` and `prev`

  template <class Event>
  void write(const AuditPlace& place, const Event& event) {
    is_cut_ = false;
    buffer_ = "\n{\"v\":1,\"seq\":";
    append_json_number(buffer_, place.seq);
    buffer_ += ",\"time\":\"";
    buffer_ += clock_.text(place.time);
    buffer_ += "\",\"event\":";
    if constexpr (std::same_as<Event, RouteEvent>) {
      buffer_ += "\"route\"";
    } else {
      is_cut_ |= !append_json_string(buffer_, event.event, limits_.name);
    }
    add("generation", event.changes);
    add_members(event);
    if (is_cut_) buffer_ += ",\"cut\":true";
    buffer_ += ",\"prev\":\"";
    append_audit_digest(buffer_, place.prev);
    buffer_ += "\"}\n";
  }

  void add_members(const RouteEvent& event) {
    add_text_or_null("query", event.query, limits_.query);
    add_text_or_null("task", event.task, limits_.name);
    add_text_or_null("outcome", event.outcome, limits_.name);
    add("confidence", event.confidence);
    add("margin", event.margin);
    add_key("novelty");
    if (event.novelty) {
      append_json_number(buffer_, *event.novelty);
    } else {
      buffer_ += "null";
    }
    add_top(event.top);
    add_text_or_null("policy", event.policy, limits_.name);
    add_router(event.router_digest);
    if (!event.input.empty()) add_input(event.input);
  }

  void add_members(const ChangeEvent& event) {
    if (!event.query.empty()) add_text_or_null("query", event.query, limits_.query);
    add_text("task", event.task);
    add_text("source", event.source);
    add_text("second_source", event.second_source);
    add("rows", event.rows);
    add("seconds", event.seconds);
    add("adapter_bytes", event.adapter_bytes);
    add_router(event.router_digest);
  }

  void add_key(std::string_view key) {
    buffer_ += ",\"";
    buffer_ += key;
    buffer_ += "\":";
  }
  template <class N>
  requires std::is_arithmetic_v<N>
  void add(std::string_view key, N number) {
    add_key(key);
    append_json_number(buffer_, number);
  }
  template <class N>
  void add(std::string_view key, const std::optional<N>& number) {
    if (number) add(key, *number);
  }
  void add_text_or_null(std::string_view key, std::string_view text, std::size_t most) {
    add_key(key);
    if (text.empty()) {
      buffer_ += "null";
    } else {
      is_cut_ |= !append_json_string(buffer_, text, most);
    }
  }
  void add_text(std::string_view key, std::string_view text) {
    if (!text.empty()) add_text_or_null(key, text, limits_.name);
  }

  void add_top(std::span<const ScoredTask> top) {
    constexpr std::size_t most = 5;
    add_key("top");
    char before = '[';
    for (const ScoredTask& scored : top.first(std::min(top.size(), most))) {
      buffer_ += before;
      buffer_ += '[';
      is_cut_ |= !append_json_string(buffer_, scored.task, limits_.name);
      buffer_ += ',';
      append_json_number(buffer_, scored.score);
      buffer_ += ']';
      before = ',';
    }
    buffer_ += top.empty() ? "[]" : "]";
  }

  /// As text: other JSON tools round numbers above 2^53.
  void add_router(std::uint64_t digest) {
    if (digest == 0) return;
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(digest >> (56 - 8 * i));
    add_key("router_digest");
    buffer_ += "\"0x";
    append_hex(buffer_, bytes);
    buffer_ += '"';
  }

  void add_input(std::string_view input) {
    Sha256 hash = salted_;
    hash.update(input);
    add_key("input");
    buffer_ += '"';
    append_audit_digest(buffer_, hash.digest());
    buffer_ += '"';
    if (!write_inputs_) return;
    const std::size_t used = buffer_.size() + tail_bytes;
    const std::size_t left = used < max_audit_line_bytes ? max_audit_line_bytes - used : 0;
    add_key("text");
    is_cut_ |= !append_json_string(buffer_, input, left);
  }

  Sha256 salted_;  // has seen the salt
  bool write_inputs_;
  AuditClock clock_;
  Limits limits_;
  bool is_cut_ = false;  // whether the line lacks the end of a string
  std::string buffer_ = "\n";
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
