// What the generators of programs and of handlers share: chance by a seed, fresh names, a pick
// among variables.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "program.h"

namespace ktap::differential {

using Texts = std::vector<const char*>;

class Dice {
 protected:
  explicit Dice(uint64_t seed) : random_(seed) {}

  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  bool chance(int percent) { return below(100) < static_cast<size_t>(percent); }
  bool per_1000(int n) { return below(1000) < static_cast<size_t>(n); }
  std::string fresh(const char* stem) { return stem + std::to_string(++names_); }
  Node one_of(const Texts& texts) { return expr(texts[below(texts.size())]); }

  /// One of the scope with that type, the newest ones more often; null when there is none.
  template <class Variable, class Type>
  const Variable* any_of(const std::vector<Variable>& scope, Type type, bool assignable) {
    std::vector<const Variable*> fitting;
    for (const Variable& variable : scope) {
      if (variable.type == type && (!assignable || variable.assignable))
        fitting.push_back(&variable);
    }
    if (fitting.empty()) return nullptr;
    return chance(50) ? fitting[below(fitting.size())]
                      : fitting[fitting.size() - 1 - below(std::min<size_t>(fitting.size(), 3))];
  }

 private:
  std::mt19937_64 random_;
  int names_ = 0;
};

}  // namespace ktap::differential
