// See enumerate.h. The shape is re2's exhaustive_tester.h: enumerate all small inputs, let a naive
// engine judge. Many expressions share one program, each in a function of its own, so that an error
// ends one function alone.
#include "enumerate.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "machines.h"

namespace ktap::differential {
namespace {

constexpr int kBatch = 1000;
constexpr int kShown = 10;

struct Leaf {
  const char* literal;
  const char* name;  ///< of the variable that holds it
};
constexpr Leaf kLeaves[] = {
    {"nil", "nothing"},
    {"true", "yes"},
    {"false", "no"},
    {"0", "zero"},
    {"1", "one"},
    {"(-1)", "minus"},
    {"2", "two"},
    {"63", "sixty3"},
    {"64", "sixty4"},
    {"9223372036854775807", "most"},
    {"(-9223372036854775808)", "least"},
    {"0.5", "half"},
    {"(-0.0)", "below"},
    {"(0.0 / 0.0)", "nan"},
    {"\"\"", "empty"},
    {"\"a\"", "letter"},
    {"\"b*\"", "pattern"},
    {"({})", "fresh"},
    {"t", "t"},
    {"pair", "pair"},
    {"t.none", "t.none"},
    // From here on: only arguments of the library.
    {"3", "three"},
    {"(-3)", "minus3"},
    {"\"abcab\"", "text"},
    {"\" a,b,,c \"", "parts"},
    {"\"-12\"", "digits"},
    {"\"0x1F\"", "hex"},
    {"\"%5d|%s\"", "form"},
    {"\"[a-b]?\"", "glob"},
    {"({3, 1, 2})", "list"},
    {"({\"b\", \"a\", k = 1})", "words"},
};
constexpr size_t kAllLeaves = sizeof(kLeaves) / sizeof(kLeaves[0]);
constexpr size_t kLeafCount = 21;  ///< of these, leaves of expressions
constexpr size_t kConstants = 18;  ///< of these, leaves that variables of the mode's kind hold
static_assert(kAllLeaves < ' ', "a leaf is a control byte in a pattern");

bool is_variable(size_t leaf) { return leaf < kConstants || leaf >= kLeafCount; }
constexpr const char* kUnary[] = {"-", "!", "~"};
constexpr const char* kBinary[] = {"||", "&&", "==", "!=", "<",  "<=", ">", ">=", "~", "|",
                                   "^",  "&",  "<<", ">>", "..", "+",  "-", "*",  "/", "%"};

/// Where the operands are.
enum class Mode : uint8_t { Literal, Local, Upvalue, Global, LiteralFirst, LocalFirst };
constexpr Mode kModes[] = {Mode::Literal, Mode::Local,        Mode::Upvalue,
                           Mode::Global,  Mode::LiteralFirst, Mode::LocalFirst};

/// An expression in which one byte, 1 + its index, stands for each leaf.
using Pattern = std::string;
using Visit = std::function<void(const Pattern&)>;

/// Calls `visit` with each expression of exactly `nodes` nodes; `smaller` has those of fewer.
void each_of_size(int nodes, const std::vector<std::vector<Pattern>>& smaller, const Visit& visit) {
  if (nodes == 1) {
    for (size_t i = 0; i < kLeafCount; ++i) visit(Pattern(1, static_cast<char>(1 + i)));
    return;
  }
  for (const char* op : kUnary) {
    for (const Pattern& operand : smaller[static_cast<size_t>(nodes) - 1])
      visit("(" + std::string(op) + operand + ")");
  }
  for (int left = 1; left + 1 < nodes; ++left) {
    for (const Pattern& a : smaller[static_cast<size_t>(left)]) {
      for (const Pattern& b : smaller[static_cast<size_t>(nodes - 1 - left)]) {
        for (const char* op : kBinary) visit("(" + a + " " + op + " " + b + ")");
        visit("(" + a + ")[" + b + "]");
      }
    }
  }
}

std::string spelled(const Pattern& pattern, Mode mode) {
  std::string out;
  int position = 0;
  for (char c : pattern) {
    const auto leaf = static_cast<size_t>(static_cast<unsigned char>(c)) - 1;
    if (leaf >= kAllLeaves) {
      out += c;
      continue;
    }
    const bool is_even = position++ % 2 == 0;
    const bool is_literal = mode == Mode::Literal || (mode == Mode::LiteralFirst && is_even) ||
                            (mode == Mode::LocalFirst && !is_even);
    const bool is_global = mode == Mode::Global && is_variable(leaf);
    out += is_literal ? kLeaves[leaf].literal
                      : (is_global ? "g" : "") + std::string(kLeaves[leaf].name);
  }
  return out;
}

/// The variables of the leaves in `pattern` as locals of a function.
std::string locals(const Pattern& pattern, Mode mode) {
  if (mode != Mode::Local && mode != Mode::LiteralFirst && mode != Mode::LocalFirst) return {};
  std::string out;
  for (size_t i = 0; i < kAllLeaves; ++i) {
    if (is_variable(i) && pattern.find(static_cast<char>(1 + i)) != Pattern::npos)
      out += std::string("var ") + kLeaves[i].name + " = " + kLeaves[i].literal + " ";
  }
  return out;
}

std::string prelude() {
  std::string out = "var fs = {}; var pair = nil; var m = {}; m[1, \"a\"] = 1";
  out += "; for (k, v in pairs(m)) { pair = k }; var t = {a = 1, [1] = 2, [2] = \"b\"}";
  for (size_t i = 0; i < kConstants; ++i) {
    out += std::string("; var ") + kLeaves[i].name + " = " + kLeaves[i].literal;
    out += std::string("; g") + kLeaves[i].name + " = " + kLeaves[i].literal;
  }
  return out + "; function run(i) { return fs[i]() }\n";
}

/// The body of a function that judges an expression as a value and as a condition.
std::string expression_body(const Pattern& pattern, Mode mode) {
  const std::string e = spelled(pattern, mode);
  return locals(pattern, mode) + "var r = " + e + "; var c = \"-\"; if (" + e +
         ") { c = \"+\" } return type(r) .. \":\" .. tostring(r) .. c";
}

/// … one that judges a call, with what it did to the tables that it was given.
std::string call_body(const Pattern& pattern, Mode mode) {
  std::string body = locals(pattern, mode) + "var r = " + spelled(pattern, mode) +
                     "; return type(r) .. \":\" .. tostring(r)";
  for (size_t i = 0; i < kAllLeaves; ++i) {
    const bool is_table = kLeaves[i].literal[1] == '{';
    if (is_table && pattern.find(static_cast<char>(1 + i)) != Pattern::npos)
      body += std::string(" .. \"|\" .. tostring(") + kLeaves[i].name + ")";
  }
  return body;
}

using Body = std::string (*)(const Pattern&, Mode);

class Batch {
 public:
  Batch(Mode mode, Body body, bool broken) : mode_(mode), body_(body), broken_(broken) {}

  void add(const Pattern& pattern) {
    patterns_.push_back(pattern);
    if (patterns_.size() == static_cast<size_t>(kBatch)) flush();
  }

  void flush() {
    if (patterns_.empty()) return;
    std::string text = prelude();
    for (size_t i = 0; i < patterns_.size(); ++i) {
      text += "fs[" + std::to_string(i + 1) + "] = function () { " + body_(patterns_[i], mode_) +
              " }\n";
    }
    Subject subject(text);
    if (!subject.compiles()) {
      std::printf("a batch does not compile:\n%s", subject.refusal().c_str());
      ++result.differing;
    } else if (Run naive = subject.run_naive(), vm = subject.run_vm(); !naive.agrees_with(vm)) {
      std::printf("the batch itself: naive %s, VM %s %s\n", naive.end.c_str(), vm.end.c_str(),
                  vm.why.c_str());
      ++result.differing;
    } else {
      compare(subject);
    }
    patterns_.clear();
  }

  EnumerateResult result;

 private:
  void compare(Subject& subject) {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      Run naive = subject.call_naive("run", static_cast<int64_t>(i) + 1);
      if (!naive.judged) continue;
      Run vm = subject.call_vm("run", static_cast<int64_t>(i) + 1);
      if (broken_ && i == 0) vm.output += "!";
      ++result.judged;
      if (naive.end != "ended") ++result.failing;
      if (naive.agrees_with(vm)) continue;
      if (++result.differing > kShown) continue;
      std::printf("%s%s\n  naive: %s, %s %s\n  VM:    %s, %s %s\n",
                  locals(patterns_[i], mode_).c_str(), spelled(patterns_[i], mode_).c_str(),
                  naive.output.c_str(), naive.end.c_str(), naive.why.c_str(), vm.output.c_str(),
                  vm.end.c_str(), vm.why.c_str());
    }
  }

  Mode mode_;
  Body body_;
  bool broken_;
  std::vector<Pattern> patterns_;
};

EnumerateResult sum_of(std::vector<Batch>& batches) {
  EnumerateResult sum;
  for (Batch& batch : batches) {
    batch.flush();
    sum.judged += batch.result.judged;
    sum.failing += batch.result.failing;
    sum.differing += batch.result.differing;
    ++sum.modes;
    if (batch.result.differing > 0) ++sum.modes_failed;
  }
  return sum;
}

/// Functions with the least and the most arguments that are tried.
struct LibraryFunction {
  const char* name;
  int least;
  int most;
};
constexpr LibraryFunction kFunctions[] = {
    {"tostring", 1, 1},     {"tonumber", 1, 2},     {"type", 1, 1},         {"len", 1, 1},
    {"format", 1, 3},       {"string.len", 1, 1},   {"string.sub", 2, 3},   {"string.find", 2, 3},
    {"string.upper", 1, 1}, {"string.lower", 1, 1}, {"string.rep", 2, 3},   {"string.byte", 1, 2},
    {"string.char", 0, 2},  {"string.split", 2, 2}, {"string.trim", 1, 1},  {"string.starts", 2, 2},
    {"string.ends", 2, 2},  {"math.abs", 1, 1},     {"math.min", 1, 3},     {"math.max", 1, 3},
    {"math.log2", 1, 1},    {"math.floor", 1, 1},   {"table.insert", 2, 3}, {"table.remove", 1, 2},
    {"table.concat", 1, 3}, {"table.sort", 1, 1},   {"delete", 1, 2},       {"count", 1, 2},
    {"sum", 1, 1},          {"min", 1, 1},          {"max", 1, 1},          {"avg", 1, 1},
    {"table_count", 2, 3},  {"assert", 1, 2},
};

/// `t` would gather what each call stores in it; calls of three arguments make do with fewer.
bool is_argument(size_t leaf, int most) {
  const std::string name = kLeaves[leaf].name;
  if (name == "t") return false;
  if (most < 3) return true;
  for (const char* dull : {"no", "two", "sixty3", "sixty4", "below", "pattern", "t.none", "pair"}) {
    if (name == dull) return false;
  }
  return true;
}

/// Every call of `function` with `left` more arguments behind those in `arguments`.
void each_call(const LibraryFunction& function, int count, int left, const std::string& arguments,
               const Visit& visit) {
  if (left == 0) {
    visit(function.name + ("(" + arguments + ")"));
    return;
  }
  for (size_t i = 0; i < kAllLeaves; ++i) {
    if (!is_argument(i, count)) continue;
    each_call(function, count, left - 1,
              arguments + (arguments.empty() ? "" : ", ") + static_cast<char>(1 + i), visit);
  }
}

}  // namespace

EnumerateResult enumerate(int nodes, bool broken) {
  std::vector<Batch> batches;
  for (Mode mode : kModes) batches.emplace_back(mode, expression_body, broken);
  std::vector<std::vector<Pattern>> smaller(1);
  for (int size = 1; size <= nodes; ++size) {
    smaller.emplace_back();
    each_of_size(size, smaller, [&](const Pattern& pattern) {
      for (Batch& batch : batches) batch.add(pattern);
      if (size < nodes) smaller.back().push_back(pattern);
    });
  }
  return sum_of(batches);
}

EnumerateResult enumerate_library(int arguments, bool broken) {
  std::vector<Batch> batches = {Batch(Mode::Local, call_body, broken)};
  for (const LibraryFunction& function : kFunctions) {
    for (int count = function.least; count <= std::min(function.most, arguments); ++count)
      each_call(function, count, count, "",
                [&](const Pattern& pattern) { batches[0].add(pattern); });
  }
  return sum_of(batches);
}

}  // namespace ktap::differential
