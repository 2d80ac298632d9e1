// Glob patterns: `*`, `?`, `[set]`, `[!set]`, `{a,b}`, `\x`. Used by the `~` operator and by event
// names. Time is bounded by pattern length × text length; nothing in a pattern makes it blow up.
#pragma once

#include <cstddef>
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

/// Where in `text`, at `from` or behind it, the leftmost part that `pattern` matches begins (a part
/// of no bytes too); npos when there is none. Requires from <= text.size().
/// Cost: O(pattern × text).
size_t glob_find(std::string_view pattern, std::string_view text, size_t from);

/// True when `text` holds a byte that means something in a pattern: one of * ? [ { \.
bool has_glob(std::string_view text);

}  // namespace ktap
