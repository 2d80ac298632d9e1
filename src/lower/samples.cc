// See samples.h.
#include "lower/samples.h"

#include <algorithm>

#include "base/limits.h"
#include "ssa/buckets.h"

namespace ktap::lower {

using bytecode::ReaderUses;
using runtime::Distribution;
using runtime::LinearShape;
using runtime::SampleHistogram;
using runtime::SampleWord;

std::vector<SampleWord> words_for(const ReaderUses& uses) {
  std::vector<SampleWord> words{SampleWord::Count};
  if (uses.whole_sum) {
    words.insert(words.end(), {SampleWord::SumLow, SampleWord::SumHigh});
  } else if (uses.sum) {
    words.push_back(SampleWord::Sum);
  }
  if (uses.least) words.push_back(SampleWord::Least);
  if (uses.greatest) words.push_back(SampleWord::Greatest);
  if (uses.squares) {
    words.insert(words.end(),
                 {SampleWord::SquareLow, SampleWord::SquareLowUp, SampleWord::SquareMixed,
                  SampleWord::SquareMixedUp, SampleWord::SquareHigh, SampleWord::SquareHighUp});
  }
  if (words.size() == 1 && !histograms_for(uses).empty()) words.clear();
  return words;
}

std::vector<SampleHistogram> histograms_for(const ReaderUses& uses) {
  std::vector<SampleHistogram> histograms;
  // Log-linear buckets give the powers of two as well.
  if (uses.log_linear) {
    histograms.push_back({Distribution::Kind::LogLinear, {}, -ssa::kLogLinearZero, 0});
  } else if (uses.log2) {
    histograms.push_back({Distribution::Kind::Pow2, {}, -ssa::kLog2Zero, 0});
  }
  std::vector<LinearShape> shapes;
  for (const auto& [lo, hi, step] : uses.linear.constant) {
    const LinearShape shape{lo, hi, step};
    // A shape that is none, or one too many, is reported where it is read.
    if (!runtime::shape_problem(shape).empty()) continue;
    if (std::find(shapes.begin(), shapes.end(), shape) != shapes.end()) continue;
    if (shapes.size() < limits::kMaxLinearShapes) shapes.push_back(shape);
  }
  for (const LinearShape& shape : shapes) {
    histograms.push_back({Distribution::Kind::Linear, shape, -ssa::kLinearFirst, 0});
  }
  return histograms;
}

}  // namespace ktap::lower
