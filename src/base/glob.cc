// Glob matching. Without alternatives one pass with a single restart point decides (the last `*`
// seen is the only one that can still give way). With `{a,b}` the pattern becomes a small automaton
// whose states are all followed at once (Thompson, "Regular expression search algorithm", CACM
// 1968), so nothing is tried twice.
#include "base/glob.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ktap {
namespace {

/// The end of the set that opens at `at` (its `]`), or npos when it never closes.
size_t set_end(std::string_view pattern, size_t at) {
  size_t i = at + 1;
  if (i < pattern.size() && pattern[i] == '!') ++i;
  for (size_t first = i; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      ++i;
    } else if (pattern[i] == ']' && i != first) {
      return i;
    }
  }
  return std::string_view::npos;
}

/// Is `byte` matched by the set pattern[begin, end), the text between `[` and `]`?
bool set_has(std::string_view set, unsigned char byte) {
  size_t i = 0;
  bool inverted = false;
  if (!set.empty() && set[0] == '!') {
    inverted = true;
    ++i;
  }
  auto member = [&set, &i] {
    if (set[i] == '\\' && i + 1 < set.size()) ++i;
    return static_cast<unsigned char>(set[i++]);
  };
  bool found = false;
  while (i < set.size()) {
    unsigned char low = member();
    unsigned char high = low;
    if (i + 1 < set.size() && set[i] == '-') {
      ++i;
      high = member();
    }
    if (low <= byte && byte <= high) found = true;
  }
  return found != inverted;
}

/// One element of a pattern that takes a byte: how long it is, and whether it takes `byte`.
struct Element {
  size_t length;
  bool takes;
};

Element element_at(std::string_view pattern, size_t at, unsigned char byte) {
  char c = pattern[at];
  if (c == '?') return {1, true};
  if (c == '\\' && at + 1 < pattern.size()) {
    return {2, static_cast<unsigned char>(pattern[at + 1]) == byte};
  }
  if (c == '[') {
    size_t end = set_end(pattern, at);
    if (end != std::string_view::npos) {
      return {end - at + 1, set_has(pattern.substr(at + 1, end - at - 1), byte)};
    }
  }
  return {1, static_cast<unsigned char>(c) == byte};
}

bool match_simple(std::string_view pattern, std::string_view text) {
  constexpr size_t kNone = std::string_view::npos;
  size_t p = 0;
  size_t t = 0;
  size_t star = kNone;  // pattern position behind the last `*`
  size_t resume = 0;    // text position where that `*` ends at present
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = t;
      continue;
    }
    if (p < pattern.size()) {
      Element element = element_at(pattern, p, static_cast<unsigned char>(text[t]));
      if (element.takes) {
        p += element.length;
        ++t;
        continue;
      }
    }
    if (star == kNone) return false;
    p = star;
    t = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// A pattern with alternatives, as an automaton. State i goes on to i + 1 unless it says otherwise.
class Automaton {
 public:
  explicit Automaton(std::string_view pattern) : pattern_(pattern) {
    find_braces();
    for (size_t at = 0; at < pattern.size();) at = compile(at);
    states_.push_back({Kind::Accept, 0, {}});
    seen_.assign(states_.size(), 0);
  }

  bool match(std::string_view text) {
    std::vector<uint32_t> now;
    std::vector<uint32_t> next;
    begin_step();
    follow(0, now);
    for (char c : text) {
      next.clear();
      begin_step();
      for (uint32_t s : now) step(s, static_cast<unsigned char>(c), next);
      now.swap(next);
      if (now.empty()) return false;
    }
    for (uint32_t s : now) {
      if (states_[s].kind == Kind::Accept) return true;
    }
    return false;
  }

  /// Every start is followed at once; `starts[i]` is that of `now[i]`. Older starts stand first and
  /// keep a state that a younger one reaches too, so the first state that accepts has the leftmost.
  size_t find(std::string_view text, size_t from) {
    std::vector<uint32_t> now;
    std::vector<uint32_t> next;
    std::vector<size_t> starts;
    std::vector<size_t> next_starts;
    size_t best = std::string_view::npos;
    begin_step();
    for (size_t t = from;; ++t) {
      if (best == std::string_view::npos) follow(0, now);
      starts.resize(now.size(), t);
      for (size_t i = 0; i < now.size(); ++i) {
        if (states_[now[i]].kind != Kind::Accept) continue;
        best = starts[i];
        now.resize(i);  // what started later cannot be better
        break;
      }
      bool found = best != std::string_view::npos && (now.empty() || starts.front() == best);
      if (found || t == text.size()) return best;
      next.clear();
      next_starts.clear();
      begin_step();
      for (size_t i = 0; i < now.size(); ++i) {
        step(now[i], static_cast<unsigned char>(text[t]), next);
        next_starts.resize(next.size(), starts[i]);
      }
      now.swap(next);
      starts.swap(next_starts);
    }
  }

  /// All ways through the pattern as states side by side; false when they are too many.
  bool spread(GlobBits& bits, bool backwards) {
    // Ways that are begun: the states passed, the last one to go on from.
    std::vector<std::vector<uint32_t>> open{{0}};
    uint32_t used = 0;
    while (!open.empty()) {
      std::vector<uint32_t> way = std::move(open.back());
      open.pop_back();
      while (true) {
        const State& last = states_[way.back()];
        if (last.kind == Kind::Accept) break;
        if (last.kind == Kind::Byte || last.kind == Kind::Star) {
          way.push_back(way.back() + 1);
          continue;
        }
        way.pop_back();
        if (open.size() + last.targets.size() > kMostStates) return false;
        for (size_t i = 1; i < last.targets.size(); ++i) {
          open.push_back(way);
          open.back().push_back(last.targets[i]);
        }
        way.push_back(last.targets[0]);
      }
      way.pop_back();
      if (backwards) std::reverse(way.begin(), way.end());
      if (!add_way(way, bits, &used)) return false;
    }
    return true;
  }

 private:
  static constexpr uint32_t kMostStates = 64;

  bool add_way(const std::vector<uint32_t>& way, GlobBits& bits, uint32_t* used) const {
    const auto bytes = static_cast<uint32_t>(std::count_if(
        way.begin(), way.end(), [&](uint32_t s) { return states_[s].kind == Kind::Byte; }));
    if (*used + bytes + 1 > kMostStates) return false;
    uint32_t state = *used;
    *used += bytes + 1;
    bits.start |= uint64_t{1} << state;
    for (uint32_t s : way) {
      if (states_[s].kind == Kind::Star) {
        bits.stay |= uint64_t{1} << state;
        continue;
      }
      ++state;
      for (uint32_t byte = 0; byte < bits.takes.size(); ++byte) {
        const Element element =
            element_at(pattern_, states_[s].at, static_cast<unsigned char>(byte));
        if (element.takes) bits.takes[byte] |= uint64_t{1} << state;
      }
    }
    bits.accept |= uint64_t{1} << state;
    return true;
  }

  enum class Kind : uint8_t { Byte, Star, Split, Jump, Accept };
  struct State {
    Kind kind;
    size_t at;                      // Byte: position of its element in the pattern
    std::vector<uint32_t> targets;  // Split: the alternatives; Jump: where to
  };

  /// Pairs each `{` with its `}` and notes the commas between; one that does not close is an
  /// ordinary byte.
  void find_braces() {
    closing_.assign(pattern_.size(), 0);
    std::vector<size_t> open;
    for (size_t i = 0; i < pattern_.size(); ++i) {
      char c = pattern_[i];
      if (c == '\\') {
        ++i;
      } else if (c == '[') {
        size_t end = set_end(pattern_, i);
        if (end != std::string_view::npos) i = end;
      } else if (c == '{') {
        open.push_back(i);
      } else if (c == '}' && !open.empty()) {
        closing_[open.back()] = i;
        open.pop_back();
      }
    }
  }

  uint32_t here() const { return static_cast<uint32_t>(states_.size()); }

  /// Adds the states of the element at `at`; gives the position behind it. Groups that are open are
  /// kept on a list, so a deep nest needs no deep recursion.
  size_t compile(size_t at) {
    char c = pattern_[at];
    if (c == '*') {
      states_.push_back({Kind::Star, at, {}});
      return at + 1;
    }
    if (c == '{' && closing_[at] != 0) {
      states_.push_back({Kind::Split, at, {here() + 1}});
      groups_.push_back({here() - 1, closing_[at], {}});
      return at + 1;
    }
    if (!groups_.empty() && c == ',') {
      end_alternative();
      states_[groups_.back().split].targets.push_back(here());
      return at + 1;
    }
    if (!groups_.empty() && at == groups_.back().closing) {
      end_alternative();
      for (uint32_t jump : groups_.back().jumps) states_[jump].targets.push_back(here());
      groups_.pop_back();
      return at + 1;
    }
    states_.push_back({Kind::Byte, at, {}});
    return at + element_at(pattern_, at, 0).length;
  }

  void end_alternative() {
    groups_.back().jumps.push_back(here());
    states_.push_back({Kind::Jump, 0, {}});
  }

  void begin_step() { ++step_; }

  /// Adds `state` and all that is reached from it without a byte.
  void follow(uint32_t state, std::vector<uint32_t>& into) {
    pending_.push_back(state);
    while (!pending_.empty()) {
      uint32_t s = pending_.back();
      pending_.pop_back();
      if (seen_[s] == step_) continue;
      seen_[s] = step_;
      const State& it = states_[s];
      if (it.kind == Kind::Split || it.kind == Kind::Jump) {
        for (uint32_t target : it.targets) pending_.push_back(target);
        continue;
      }
      if (it.kind == Kind::Star) pending_.push_back(s + 1);
      into.push_back(s);
    }
  }

  void step(uint32_t s, unsigned char byte, std::vector<uint32_t>& next) {
    const State& it = states_[s];
    if (it.kind == Kind::Star) {
      follow(s, next);
    } else if (it.kind == Kind::Byte && element_at(pattern_, it.at, byte).takes) {
      follow(s + 1, next);
    }
  }

  struct Group {
    uint32_t split;
    size_t closing;
    std::vector<uint32_t> jumps;
  };

  std::string_view pattern_;
  std::vector<size_t> closing_;  // by position of `{`; 0 when it does not close
  std::vector<Group> groups_;
  std::vector<State> states_;
  std::vector<uint64_t> seen_;
  std::vector<uint32_t> pending_;
  uint64_t step_ = 0;
};

}  // namespace

char glob_unclosed(std::string_view pattern) {
  size_t first_brace = pattern.size();  // of those that are open
  size_t braces = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == '[') {
      const size_t end = set_end(pattern, i);
      if (end == std::string_view::npos) return first_brace < i ? '{' : '[';
      i = end;
    } else if (pattern[i] == '{') {
      if (braces++ == 0) first_brace = i;
    } else if (pattern[i] == '}' && braces > 0 && --braces == 0) {
      first_brace = pattern.size();
    }
  }
  return braces > 0 ? '{' : '\0';
}

bool glob_match(std::string_view pattern, std::string_view text) {
  if (pattern.find('{') == std::string_view::npos) return match_simple(pattern, text);
  return Automaton(pattern).match(text);
}

struct Glob::Compiled {
  explicit Compiled(std::string_view text) : pattern(text), automaton(pattern) {}
  std::string pattern;
  Automaton automaton;  // refers to `pattern`
};

Glob::Glob(std::string_view pattern) : pattern_(pattern) {
  if (pattern.find('{') != std::string_view::npos) compiled_ = std::make_unique<Compiled>(pattern);
}
Glob::Glob(Glob&&) noexcept = default;
Glob& Glob::operator=(Glob&&) noexcept = default;
Glob::~Glob() = default;

bool Glob::matches(std::string_view text) const {
  return compiled_ != nullptr ? compiled_->automaton.match(text) : match_simple(pattern_, text);
}

size_t glob_find(std::string_view pattern, std::string_view text, size_t from) {
  return Automaton(pattern).find(text, from);
}

std::optional<GlobBits> glob_bits(std::string_view pattern, bool backwards) {
  GlobBits bits;
  if (!Automaton(pattern).spread(bits, backwards)) return std::nullopt;
  return bits;
}

std::string glob_escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (std::string_view("*?[]{},\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

bool has_glob(std::string_view text) {
  return text.find_first_of("*?[{\\") != std::string_view::npos;
}

}  // namespace ktap
