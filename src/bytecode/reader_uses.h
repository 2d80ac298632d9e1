// Which readers of aggregates a script has: what is kept of the samples that kernel handlers add is
// inferred from them, so that a reader which is not used costs nothing.
#pragma once

#include "bytecode/chunk.h"
#include "bytecode/hist_calls.h"

namespace ktap::bytecode {

/// What must be known of an aggregate's samples beyond their number. Errs on the side of more.
struct ReaderUses {
  bool sum = false;        ///< as it wraps at 64 bits
  bool whole_sum = false;  ///< before it wraps
  bool squares = false;    ///< their sum
  bool least = false;
  bool greatest = false;
  bool log2 = false;        ///< how many fell between which powers of two
  bool log_linear = false;  ///< 16 buckets to each of them
  HistCalls linear;

  /// Every reader but linear histograms.
  static ReaderUses all();
  /// What either asks for.
  void add(const ReaderUses& more);
};

/// Of this function and of those written inside it.
ReaderUses find_reader_uses(const Function& function);

}  // namespace ktap::bytecode
