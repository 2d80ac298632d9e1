// See kernel_samples.h.
#include "engine/kernel_samples.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/bpf_engine.h"

namespace ktap::engine {

using runtime::Aggregate;
using runtime::SampleHistogram;
using runtime::SampleParts;
using runtime::Type;
using runtime::Value;

/// One table of aggregates, or one aggregate.
class KernelSamples::Store : public runtime::TableBacking {
 public:
  Store(KernelSamples& owner, BpfEngine& engine, const SampleParts& parts,
        const std::vector<std::string>& strings, runtime::Heap& heap,
        const runtime::ReaderNeeds& needs)
      : owner_(owner), parts_(parts), heap_(heap), needs_(needs) {
    if (parts.stats) stats_.emplace(engine.read_delta(*parts.stats), false, strings);
    for (const SampleHistogram& histogram : parts.histograms) {
      histograms_.emplace_back(engine.read_delta(histogram.table), true, strings);
    }
    if (parts.aggregate != nullptr) {
      parts.aggregate->set_from_source();
      return;
    }
    for (const auto& [key, value] : parts.table->entries()) {
      if (value.type == Type::Aggregate) value.aggregate()->set_from_source();
    }
    parts.table->backing = this;
  }
  ~Store() override {
    if (parts_.table != nullptr) parts_.table->backing = nullptr;
  }

  void before_read(runtime::Table&) override { owner_.before_read(); }
  // What came in before goes with what is deleted or overwritten: it is added first.
  void on_clear(runtime::Table&) override { owner_.before_read(); }
  Result<void> on_set(runtime::Table&, Value, Value) override {
    owner_.before_read();
    return {};
  }

  void refresh() { any().refresh(); }

  void merge() {
    if (stats_) {
      stats_->reader->take_rows([this](const uint8_t* key, const int64_t* words) {
        const runtime::PartialAggregate partial = runtime::partial_of(parts_.words, words);
        if (partial.count == 0) return;
        if (Aggregate* into = aggregate_at(*stats_, key, true)) into->merge(partial, needs_);
      });
    }
    for (size_t i = 0; i < histograms_.size(); ++i) {
      histograms_[i].reader->take_rows([this, i](const uint8_t* key, const int64_t* words) {
        merge_bucket(i, key, static_cast<uint64_t>(words[0]));
      });
    }
  }

 private:
  /// One of its kernel tables, with the codec of the script's part of the key.
  struct Part {
    Part(std::unique_ptr<DeltaReader> delta, bool has_bucket,
         const std::vector<std::string>& strings)
        : reader(std::move(delta)), layout(std::make_unique<backend::Table>(reader->table())) {
      if (has_bucket) {
        bucket_offset_bytes = layout->part_offset_bytes.back();
        layout->key.pop_back();
        layout->part_offset_bytes.pop_back();
      }
      if (!layout->key.empty()) codec.emplace(*layout, strings);
    }

    std::unique_ptr<DeltaReader> reader;
    std::unique_ptr<backend::Table> layout;
    std::optional<KeyCodec> codec;
    uint32_t bucket_offset_bytes = 0;
  };

  DeltaReader& any() { return stats_ ? *stats_->reader : *histograms_.front().reader; }

  void merge_bucket(size_t which, const uint8_t* key, uint64_t count) {
    if (count == 0) return;
    const SampleHistogram& histogram = parts_.histograms[which];
    const bool counts = !stats_ && which == 0;
    Aggregate* into = aggregate_at(histograms_[which], key, counts);
    // Samples that the other table had no room for are lost, and were counted so.
    if (into == nullptr || (!counts && into->empty())) return;
    int64_t bucket = 0;
    std::memcpy(&bucket, key + histograms_[which].bucket_offset_bytes, sizeof bucket);
    const auto shape = std::find(needs_.linear.begin(), needs_.linear.end(), histogram.shape);
    into->merge_bucket(histogram.kind, static_cast<size_t>(shape - needs_.linear.begin()),
                       static_cast<int>(bucket + histogram.first_bucket), count, counts, needs_);
  }

  /// Null: there is none, and none is to be made.
  Aggregate* aggregate_at(const Part& part, const uint8_t* key_bytes, bool make) {
    if (parts_.aggregate != nullptr) return parts_.aggregate;
    const Value key = part.codec->decode(key_bytes, heap_);
    const Value now = parts_.table->get(key);
    Aggregate* found = now.type == Type::Aggregate ? now.aggregate() : nullptr;
    if (found == nullptr && make && now.is_nil()) {
      found = heap_.aggregate();
      parts_.table->set(key, Value::of_object(Type::Aggregate, found));
    }
    if (found != nullptr) found->set_from_source();
    return found;
  }

  KernelSamples& owner_;
  const SampleParts& parts_;
  runtime::Heap& heap_;
  const runtime::ReaderNeeds& needs_;
  std::optional<Part> stats_;
  std::vector<Part> histograms_;
};

KernelSamples::KernelSamples(BpfEngine& engine, const std::vector<SampleParts>& parts,
                             const std::vector<std::string>& strings, runtime::Heap& heap,
                             const runtime::ReaderNeeds& needs)
    : heap_(heap) {
  for (const SampleParts& one : parts) {
    stores_.push_back(std::make_unique<Store>(*this, engine, one, strings, heap, needs));
  }
  if (!stores_.empty()) heap_.set_sample_source(this);
}

KernelSamples::~KernelSamples() {
  if (!stores_.empty()) heap_.set_sample_source(nullptr);
}

void KernelSamples::before_read() {
  if (stores_.empty()) return;
  stores_.front()->refresh();
  for (const auto& store : stores_) store->merge();
}

}  // namespace ktap::engine
