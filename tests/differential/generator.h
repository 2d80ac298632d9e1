// Random programs: statements of every kind over variables whose types are mostly respected, so
// that most programs run to their end and print much.
#pragma once

#include <cstdint>

#include "program.h"

namespace ktap::differential {

struct GeneratorOptions {
  /// Only what ktap and Lua 5.4 share, in both spellings.
  bool common = false;
  /// Samples and their readers too.
  bool aggregates = true;
  /// Rarely an expression of any type at all, which mostly ends the program with an error.
  int wild_per_1000 = 4;
};

/// The same seed gives the same program.
Node random_program(uint64_t seed, const GeneratorOptions& options);

/// What a Lua program needs before its own text: ktap's operators and functions.
extern const char* const kLuaPrelude;

}  // namespace ktap::differential
