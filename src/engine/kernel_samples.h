// Aggregates whose samples kernel programs add: what the kernel has of them comes home as rows of
// words and of bucket counts, which are added to the script's own Aggregate objects. What is there
// then is user space's: deleting is its affair alone, and samples that it adds itself add up with
// the kernel's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/delta_reader.h"
#include "engine/key_codec.h"
#include "runtime/heap.h"
#include "runtime/sample_parts.h"

namespace ktap::engine {

class BpfEngine;

/// Behind a heap's aggregates for as long as it lives. All of them are brought up to date at once:
/// an aggregate may be both a variable's and in a table.
class KernelSamples : public runtime::SampleSource {
 public:
  /// All that is referred to outlives this. `strings`: the module's.
  KernelSamples(BpfEngine& engine, const std::vector<runtime::SampleParts>& parts,
                const std::vector<std::string>& strings, runtime::Heap& heap,
                const runtime::ReaderNeeds& needs);
  ~KernelSamples() override;
  KernelSamples(const KernelSamples&) = delete;
  KernelSamples& operator=(const KernelSamples&) = delete;

  void before_read() override;

 private:
  class Store;

  runtime::Heap& heap_;
  std::vector<std::unique_ptr<Store>> stores_;
};

}  // namespace ktap::engine
