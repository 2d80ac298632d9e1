// `t[k] <<< n` and `x <<< n`: one addition to a table of words that say all that numbers are asked
// about, and one to each histogram that is read, under the same key with the bucket behind it. The
// histograms come first: they are the first to be full, and then the sample counts nowhere.
#include <fmt/format.h>

#include <utility>

#include "lower/lowerer.h"
#include "ssa/buckets.h"

namespace ktap::lower {

namespace {

using runtime::Distribution;
using runtime::SampleHistogram;
using runtime::SampleParts;
using runtime::SampleWord;
using ssa::Op;

constexpr int64_t kLower32 = 0xffffffff;

ssa::MergeOp merge_of(SampleWord word) {
  if (word == SampleWord::Least) return ssa::MergeOp::Min;
  return word == SampleWord::Greatest ? ssa::MergeOp::Max : ssa::MergeOp::Add;
}

Op bucket_op(Distribution::Kind kind) {
  if (kind == Distribution::Kind::Pow2) return Op::Log2Bucket;
  return kind == Distribution::Kind::LogLinear ? Op::LogLinearBucket : Op::LinearBucket;
}

uint32_t bucket_count(const SampleHistogram& histogram) {
  const auto& [lo, hi, step] = histogram.shape;
  switch (histogram.kind) {
    case Distribution::Kind::Pow2:
      return ssa::kLog2Buckets;
    case Distribution::Kind::LogLinear:
      return ssa::kLogLinearBuckets;
    default:
      return ssa::linear_bucket_count({lo, hi, step});
  }
}

}  // namespace

void Lowerer::add_sample(const AbstractValue& object, std::optional<AbstractValue> key,
                         const AbstractValue& sample) {
  if (by_type({key.value_or(AbstractValue::nil()), sample},
              [&](const std::vector<AbstractValue>& v) {
                add_sample(object, key ? std::optional(v[0]) : std::nullopt, v[1]);
                return AbstractValue::nil();
              })) {
    return;
  }
  if (!object.is(key ? Kind::Table : Kind::Aggregate)) return refuse_use("'<<<'", object);
  if (key && !sure_key(*key)) return;
  if (!reachable()) return;
  const std::optional<ssa::ValueId> number = sample_number(sample);
  if (!number) return;
  std::vector<AbstractValue> parts;
  if (key && !key_parts(*key, parts)) return;
  const std::optional<size_t> which = samples_of(object);
  if (!which) return;
  const SampleParts samples = linkage_.samples[*which];
  std::vector<ssa::Inst> updates;
  const auto key_of = [&](uint32_t table) {
    const std::vector<ssa::KeyPart> made = linkage_.module.tables[table].key;
    std::vector<ssa::ValueId> operands;
    for (size_t i = 0; i < parts.size(); ++i) operands.push_back(as_part(parts[i], made[i]));
    return operands;
  };
  for (const SampleHistogram& histogram : samples.histograms) {
    std::vector<AbstractValue> with_bucket = parts;
    with_bucket.push_back(AbstractValue::ssa(bucket_of(histogram, *number)));
    if (!unify_key(histogram.table, with_bucket)) return;
    ssa::Inst update{Op::TableAdd};
    update.imm = histogram.table;
    update.operands = key_of(histogram.table);
    update.operands.push_back(with_bucket.back().id);
    update.operands.push_back(const_int(1));
    updates.push_back(std::move(update));
  }
  if (samples.stats) {
    if (!unify_key(*samples.stats, parts)) return;
    ssa::Inst update{Op::TableMerge};
    update.imm = *samples.stats;
    update.operands = key_of(*samples.stats);
    for (SampleWord word : samples.words) update.operands.push_back(sample_word(word, *number));
    updates.push_back(std::move(update));
  }
  if (stopped()) return;
  for (ssa::Inst& update : updates) emit(std::move(update));
  add_to_totals(object, key, *number);
}

/// An Int; or the run ends as in the VM.
std::optional<ssa::ValueId> Lowerer::sample_number(const AbstractValue& sample) {
  const std::string text = "a sample is an integer, got ";
  switch (sample.kind) {
    case Kind::Nil:
      fail_now(text + std::string(runtime::type_phrase(runtime::Type::Nil)));
      return std::nullopt;
    case Kind::Bool:
      fail_now(text + std::string(runtime::type_phrase(runtime::Type::Boolean)));
      return std::nullopt;
    case Kind::Str:
      fail_now(text + std::string(runtime::type_phrase(runtime::Type::String)));
      return std::nullopt;
    case Kind::Int:
    case Kind::Ssa:
      break;
    default:
      refuse(describe(sample) + " is a sample");
      return std::nullopt;
  }
  switch (type_of(sample)) {
    case ssa::Type::Int:
      break;
    case ssa::Type::MaybeInt: {
      const AbstractValue sure =
          check_not_nil(sample, text + std::string(runtime::type_phrase(runtime::Type::Nil)));
      if (stopped() || !reachable()) return std::nullopt;
      return to_int(sure, "a sample");
    }
    case ssa::Type::Bool:
      return sample_number(AbstractValue::boolean(true));
    case ssa::Type::Str:
      return sample_number(AbstractValue::string(""));
    default:
      refuse(describe(sample) + " is a sample");
      return std::nullopt;
  }
  return to_int(sample, "a sample");
}

ssa::ValueId Lowerer::bucket_of(const SampleHistogram& histogram, ssa::ValueId number) {
  ssa::Inst inst{bucket_op(histogram.kind), ssa::Type::Int};
  if (inst.op == Op::LinearBucket) {
    const ssa::LinearBounds bounds{histogram.shape.lo, histogram.shape.hi, histogram.shape.step};
    std::vector<ssa::LinearBounds>& all = linkage_.module.linear;
    size_t at = 0;
    while (at < all.size() && !(all[at] == bounds)) ++at;
    if (at == all.size()) all.push_back(bounds);
    inst.imm = static_cast<int64_t>(at);
  }
  inst.operands = {number};
  return emit(std::move(inst));
}

/// What is added up in a word of `n`. Equal steps of several words are made once, by the passes.
ssa::ValueId Lowerer::sample_word(SampleWord word, ssa::ValueId n) {
  const auto with = [&](Op op, ssa::ValueId value, int64_t number) {
    return op2(op, ssa::Type::Int, value, const_int(number));
  };
  const auto low_half = [&](ssa::ValueId value) { return with(Op::And, value, kLower32); };
  const auto high_half = [&](ssa::ValueId value) { return low_half(with(Op::Sar, value, 32)); };
  // |n| as an unsigned number, its halves, and the product of two of them.
  const auto magnitude = [&] {
    const ssa::ValueId sign = with(Op::Sar, n, 63);
    return op2(Op::Sub, ssa::Type::Int, op2(Op::Xor, ssa::Type::Int, n, sign), sign);
  };
  const auto product = [&](bool high, bool other_high) {
    const ssa::ValueId size = magnitude();
    return op2(Op::Mul, ssa::Type::Int, high ? high_half(size) : low_half(size),
               other_high ? high_half(size) : low_half(size));
  };
  switch (word) {
    case SampleWord::Count:
      return const_int(1);
    case SampleWord::Sum:
    case SampleWord::Least:
    case SampleWord::Greatest:
      return n;
    case SampleWord::SumLow:
      return with(Op::Sar, with(Op::Shl, n, 32), 32);
    case SampleWord::SumHigh: {
      const ssa::ValueId low = with(Op::Sar, with(Op::Shl, n, 32), 32);
      return op2(Op::Sub, ssa::Type::Int, with(Op::Sar, n, 32), with(Op::Sar, low, 63));
    }
    case SampleWord::SquareLow:
      return low_half(product(false, false));
    case SampleWord::SquareLowUp:
      return high_half(product(false, false));
    case SampleWord::SquareMixed:
      return low_half(product(true, false));
    case SampleWord::SquareMixedUp:
      return high_half(product(true, false));
    case SampleWord::SquareHigh:
      return low_half(product(true, true));
    case SampleWord::SquareHighUp:
      return high_half(product(true, true));
  }
  return n;
}

// ---- where the samples go --------------------------------------------------------------------

std::optional<size_t> Lowerer::samples_of(const AbstractValue& object) {
  for (size_t i = 0; i < linkage_.samples.size(); ++i) {
    const SampleParts& have = linkage_.samples[i];
    if (have.table == object.table && have.aggregate == object.aggregate) return i;
  }
  const bytecode::ReaderUses uses =
      options_.readers != nullptr ? *options_.readers : bytecode::ReaderUses::all();
  if (uses.linear.computed) {
    refuse("hist() may ask for bounds that are not known yet");
    return std::nullopt;
  }
  if (object.is(Kind::Table) && !holds_samples_alone(object)) return std::nullopt;
  SampleParts samples;
  samples.name = object.text;
  samples.table = object.table;
  samples.aggregate = object.aggregate;
  samples.words = words_for(uses);
  samples.histograms = histograms_for(uses);
  uint32_t number = 0;
  for (SampleHistogram& histogram : samples.histograms) {
    ssa::TableInfo info;
    info.bucket_count = bucket_count(histogram);
    histogram.table = add_sample_table(object, number++, std::move(info));
  }
  if (!samples.words.empty()) {
    ssa::TableInfo info;
    info.words.clear();
    for (SampleWord word : samples.words) info.words.push_back(merge_of(word));
    samples.stats = add_sample_table(object, number, std::move(info));
  }
  linkage_.samples.push_back(std::move(samples));
  return linkage_.samples.size() - 1;
}

/// `number`: which of the tables for the samples of `object`.
uint32_t Lowerer::add_sample_table(const AbstractValue& object, uint32_t number,
                                   ssa::TableInfo info) {
  const runtime::Object* samples = object.table;
  if (object.aggregate != nullptr) samples = object.aggregate;
  const auto learnt = linkage_.shapes.samples.find({samples, number});
  if (learnt != linkage_.shapes.samples.end()) info.key = learnt->second.key;
  info.name = object.text;
  info.is_added = true;
  if (object.table != nullptr) info.max_entries = object.table->capacity_hint;
  info.sample_of = static_cast<uint32_t>(linkage_.samples.size()) + 1;
  linkage_.module.tables.push_back(std::move(info));
  linkage_.tables.push_back(nullptr);  // its rows are no entries of a table of the script
  linkage_.variables.emplace_back();
  linkage_.value_is_known.push_back(true);
  return static_cast<uint32_t>(linkage_.tables.size() - 1);
}

bool Lowerer::holds_samples_alone(const AbstractValue& table) {
  if (world_.stored_tables.count(table.table) != 0) {
    refuse(fmt::format("table {} may get something else than samples", table.text));
    return false;
  }
  for (const auto& [key, value] : table.table->entries()) {
    if (value.type == runtime::Type::Aggregate) continue;
    refuse(
        fmt::format("table {} holds {}", table.text, describe(AbstractValue::of_world(value, ""))));
    return false;
  }
  return true;
}

}  // namespace ktap::lower
