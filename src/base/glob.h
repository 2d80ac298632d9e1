// Glob patterns: `*`, `?`, `[set]`, `[!set]`, `{a,b}`, `\x`. Used by the `~` operator and by event
// names. Time is bounded by pattern length × text length; nothing in a pattern makes it blow up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ktap {

/// Does `pattern` match the whole of `text`, byte by byte?
///   *        any bytes, also none             ?       one byte
///   [a-f_]   one byte of the set              [!a-f]  one byte outside it; a `]` right after `[`
///   or `[!` is a member {a,b*}   one of the alternatives, which may nest and may be empty \x the
///   byte x itself, inside sets too
/// What does not close (`[ab`, `{a`) and a `\` at the end stand for themselves.
/// Cost: O(pattern × text); allocates only for patterns with `{`.
bool glob_match(std::string_view pattern, std::string_view text);

/// The same for a pattern that many texts are held against: looked at once.
class Glob {
 public:
  explicit Glob(std::string_view pattern);
  Glob(Glob&&) noexcept;
  Glob& operator=(Glob&&) noexcept;
  ~Glob();

  bool matches(std::string_view text) const;

 private:
  struct Compiled;
  std::string pattern_;
  std::unique_ptr<Compiled> compiled_;  // of a pattern with `{`
};

/// Where in `text`, at `from` or behind it, the leftmost part that `pattern` matches begins (a part
/// of no bytes too); npos when there is none. Requires from <= text.size().
/// Cost: O(pattern × text).
size_t glob_find(std::string_view pattern, std::string_view text, size_t from);

/// A pattern as a word of states that all move at once: the bits that are set are those that are
/// reached. A byte c leads from `now` to ((now << 1) & takes[c]) | (now & stay).
/// Source: Baeza-Yates and Gonnet, "A new approach to text searching", CACM 1992; a `*` is a state
/// that stays.
struct GlobBits {
  uint64_t start = 0;   ///< before the first byte
  uint64_t stay = 0;    ///< states where a `*` stands
  uint64_t accept = 0;  ///< one of these: the pattern has matched
  std::array<uint64_t, 256> takes{};
};

/// Nothing for a pattern that takes more than 64 states: an alternative of `{a,b}` costs a copy of
/// the pattern around it. `backwards`: for texts that are read from their end.
std::optional<GlobBits> glob_bits(std::string_view pattern, bool backwards);

/// `text` as a pattern that matches it alone.
std::string glob_escape(std::string_view text);

/// The first `[` or `{` of a pattern that nothing closes, which stands for itself; NUL: there is
/// none.
char glob_unclosed(std::string_view pattern);

/// True when `text` holds a byte that means something in a pattern: one of * ? [ { \.
bool has_glob(std::string_view text);

}  // namespace ktap
