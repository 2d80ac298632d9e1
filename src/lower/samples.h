// What is kept of an aggregate's samples in the kernel, inferred from the readers that the script
// has: one that is not there costs nothing.
#pragma once

#include <vector>

#include "bytecode/reader_uses.h"
#include "runtime/sample_parts.h"

namespace ktap::lower {

/// The words that serve these readers; none when the histograms are enough.
std::vector<runtime::SampleWord> words_for(const bytecode::ReaderUses& uses);
/// The histograms that serve them, `table` not set yet.
std::vector<runtime::SampleHistogram> histograms_for(const bytecode::ReaderUses& uses);

}  // namespace ktap::lower
