// count(x) sum(x) avg(x) min(x) max(x) in a handler, x an aggregate of the world or a cell of a
// table of them. What user space reads of the samples lies apart for each CPU and goes with each
// snapshot; so the words that handlers in the kernel read are added up once more, in tables that
// all CPUs share.
#include <fmt/format.h>

#include "base/check.h"
#include "lower/lowerer.h"

namespace ktap::lower {

namespace {

using bytecode::Builtin;
using bytecode::Op;
using runtime::SampleWord;

constexpr int64_t kLower32 = 0xffffffff;

/// That have a kernel form.
bool is_reader(Builtin builtin) {
  switch (builtin) {
    case Builtin::Count:
    case Builtin::Sum:
    case Builtin::Avg:
    case Builtin::Min:
    case Builtin::Max:
      return true;
    default:
      return false;
  }
}

bool is_bound(SampleWord word) { return word == SampleWord::Least || word == SampleWord::Greatest; }

/// The bounds are kept as unsigned numbers that only ever rise from 0: what they are xored with.
int64_t rising(SampleWord word) { return word == SampleWord::Least ? INT64_MAX : INT64_MIN; }

/// What a reader gives without samples, and of nil.
AbstractValue of_no_samples(Builtin builtin) {
  const bool is_nil = builtin == Builtin::Min || builtin == Builtin::Max;
  return is_nil ? AbstractValue::nil() : AbstractValue::of(int64_t{0});
}

int64_t word_of(const runtime::Aggregate& aggregate, SampleWord word) {
  switch (word) {
    case SampleWord::Count:
      return aggregate.count();
    case SampleWord::SumLow:
      return static_cast<int64_t>(static_cast<uint64_t>(aggregate.sum()) & kLower32);
    case SampleWord::SumHigh:
      return static_cast<int64_t>(aggregate.wide_sum() >> 32);
    case SampleWord::Least:
      return aggregate.min() ^ rising(word);
    case SampleWord::Greatest:
      return aggregate.max() ^ rising(word);
    default:
      KTAP_CHECK(word == SampleWord::Sum);
      return aggregate.sum();
  }
}

bool holds(const runtime::Table& table, const runtime::Aggregate* aggregate) {
  for (const auto& [key, value] : table.entries()) {
    if (value.type != runtime::Type::Aggregate) continue;
    if (aggregate == nullptr || value.aggregate() == aggregate) return true;
  }
  return false;
}

}  // namespace

runtime::Table* Totals::of(const runtime::Table* table, const runtime::Aggregate* aggregate,
                           SampleWord word) {
  const runtime::Object* object = table;
  if (aggregate != nullptr) object = aggregate;
  runtime::Table*& total = tables_[{object, word}];
  if (total != nullptr) return total;
  if (heap_ == nullptr) heap_ = std::make_shared<runtime::Heap>();
  total = heap_->table();
  if (aggregate == nullptr) {
    total->capacity_hint = table->capacity_hint;
  } else {
    aggregate->refresh();
    if (is_bound(word) && aggregate->empty()) return total;
    total->set(runtime::Value::of(true), runtime::Value::of(word_of(*aggregate, word)));
  }
  return total;
}

const Totals::Key* Totals::what(const runtime::Table* table) const {
  for (const auto& [key, total] : tables_) {
    if (total == table) return &key;
  }
  return nullptr;
}

/// Behind the sample itself, what of it handlers in the kernel read.
void Lowerer::add_to_totals(const AbstractValue& object, const std::optional<AbstractValue>& key,
                            ssa::ValueId sample) {
  const runtime::Object* whose = object.table;
  if (object.aggregate != nullptr) whose = object.aggregate;
  for (const auto& [what, table] : linkage_.shapes.totals.tables()) {
    if (what.first != whose) continue;
    AbstractValue total = AbstractValue::of_kind(Kind::Table);
    total.table = table;
    total.text = object.text;
    const AbstractValue at = key.value_or(AbstractValue::boolean(true));
    const ssa::ValueId word = sample_word(what.second, sample);
    if (is_bound(what.second)) {
      raise_total(total, at,
                  op2(ssa::Op::Xor, ssa::Type::Int, word, const_int(rising(what.second))));
    } else {
      table_add(total, at, AbstractValue::ssa(word));
    }
    if (stopped()) return;
  }
}

void Lowerer::raise_total(const AbstractValue& total, const AbstractValue& key,
                          ssa::ValueId number) {
  ssa::Inst inst{ssa::Op::TableRaise};
  const std::optional<int64_t> id = table_access(total, key, inst.operands);
  if (id) combine_entry(std::move(inst), *id, AbstractValue::ssa(number));
}

/// `count(t[k])`: the cell of a table of aggregates is read where its reader is called, and is no
/// value of its own. False: another read.
bool Lowerer::reads_cell(Frame& frame, size_t pc) {
  const bytecode::Insn insn = frame.function->code[pc];
  if (!reads_samples_ || pc + 1 >= frame.function->code.size()) return false;
  const bytecode::Insn next = frame.function->code[pc + 1];
  const bool is_call = (next.op() == Op::Call || next.op() == Op::TailCall) && next.b() == 2 &&
                       next.a() + 1 == insn.a();
  if (!is_call || !reg(frame, next.a()).is(Kind::Builtin)) return false;
  const auto builtin = static_cast<Builtin>(reg(frame, next.a()).integer);
  const AbstractValue object = reg(frame, insn.b());
  if (!is_reader(builtin) || !object.is(Kind::Table)) return false;
  if (world_.sampled_tables.count(object.table) == 0) return false;
  const AbstractValue key =
      insn.op() == Op::GetField ? constant(frame, insn.c()) : reg(frame, insn.c());
  AbstractValue reading = AbstractValue::of_kind(Kind::Reading);
  std::optional<AbstractValue> result = by_type({key}, [&](const std::vector<AbstractValue>& v) {
    return read_samples_of(builtin, object, v[0]);
  });
  reading.parts = {result ? *result : read_samples_of(builtin, object, key)};
  reg(frame, insn.a()) = reading;
  return true;
}

/// Nothing: no reader that has a kernel form, or on something else.
std::optional<AbstractValue> Lowerer::read_samples(Builtin builtin,
                                                   const std::vector<AbstractValue>& args) {
  if (!is_reader(builtin) || args.size() != 1 || !reads_samples_) return std::nullopt;
  const AbstractValue& given = args[0];
  if (given.is(Kind::Reading)) return given.parts[0];
  if (given.is(Kind::Nil)) return of_no_samples(builtin);
  if (!given.is(Kind::Aggregate)) return std::nullopt;
  return read_samples_of(builtin, given, AbstractValue::boolean(true));
}

AbstractValue Lowerer::read_samples_of(Builtin builtin, const AbstractValue& object,
                                       AbstractValue key) {
  const AbstractValue none = of_no_samples(builtin);
  if (never_a_key(key)) return none;
  if (!may_read_samples(object)) return {};
  if (AbstractValue* part = nil_part(key)) {
    if (part->is(Kind::Nil)) return none;
    const ssa::BlockId absent = enter_where_there(*part);
    const AbstractValue read = read_samples_of(builtin, object, key);
    if (stopped()) return {};
    return join({{absent, {none}, 0}, {current_, {read}, 0}})[0];
  }
  switch (builtin) {
    case Builtin::Avg:
      return average(object, key);
    case Builtin::Min:
      return bound(object, SampleWord::Least, key);
    case Builtin::Max:
      return bound(object, SampleWord::Greatest, key);
    case Builtin::Count:
      return sum_or_zero(object, SampleWord::Count, key);
    default:
      return sum_or_zero(object, SampleWord::Sum, key);
  }
}

/// Every sample of the aggregates comes in by the name by which it is read.
bool Lowerer::may_read_samples(const AbstractValue& object) {
  if (object.aggregate == nullptr) {
    if (!holds_samples_alone(object)) return false;
    if (!holds(*object.table, nullptr)) return true;
    refuse(
        fmt::format("an aggregate of table {} that the main chunk made is read here", object.text));
    return false;
  }
  for (const runtime::Table* table : world_.sampled_tables) {
    if (!holds(*table, object.aggregate)) continue;
    refuse(fmt::format("aggregate {} is read here, and is in a table too", object.text));
    return false;
  }
  return true;
}

/// An integer, nil where the cell has no samples.
AbstractValue Lowerer::total(const AbstractValue& object, SampleWord word,
                             const AbstractValue& key) {
  AbstractValue total = AbstractValue::of_kind(Kind::Table);
  total.table = linkage_.shapes.totals.of(object.table, object.aggregate, word);
  total.text = object.text;
  std::vector<ssa::ValueId> operands;
  const std::optional<int64_t> id = table_access(total, key, operands);
  if (!id || !unify_value(*id, AbstractValue::of(int64_t{0}))) return {};
  return get_entry(*id, std::move(operands));
}

AbstractValue Lowerer::sum_or_zero(const AbstractValue& object, SampleWord word,
                                   const AbstractValue& key) {
  AbstractValue sum = total(object, word, key);
  if (stopped()) return {};
  const ssa::BlockId absent = enter_where_there(sum);
  return join({{absent, {AbstractValue::of(int64_t{0})}, 0}, {current_, {sum}, 0}})[0];
}

AbstractValue Lowerer::bound(const AbstractValue& object, SampleWord word,
                             const AbstractValue& key) {
  AbstractValue risen = total(object, word, key);
  if (stopped()) return {};
  const ssa::BlockId absent = enter_where_there(risen);
  const ssa::ValueId number = op2(ssa::Op::Xor, ssa::Type::Int, risen.id, const_int(rising(word)));
  return join(
      {{absent, {AbstractValue::nil()}, 0}, {current_, {AbstractValue::ssa(number)}, 0}})[0];
}

/// 0 without samples; else the sum, before it wraps, by the count as C divides.
AbstractValue Lowerer::average(const AbstractValue& object, const AbstractValue& key) {
  const AbstractValue count = sum_or_zero(object, SampleWord::Count, key);
  if (stopped()) return {};
  const ssa::BlockId none = new_block();
  const ssa::BlockId some = new_block();
  branch(op2(ssa::Op::Eq, ssa::Type::Bool, count.id, const_int(0)), none, some);
  current_ = some;
  const AbstractValue high = sum_or_zero(object, SampleWord::SumHigh, key);
  const AbstractValue low = sum_or_zero(object, SampleWord::SumLow, key);
  if (stopped()) return {};
  const ssa::ValueId quotient = wide_quotient(high.id, low.id, count.id);
  return join({{none, {AbstractValue::of(int64_t{0})}, 0},
               {current_, {AbstractValue::ssa(quotient)}, 0}})[0];
}

/// (high × 2^32 + low) / count, towards 0. Long division by digits of 16 bits: exact for counts
/// below 2^47, which the count stays below for years. Requires: count > 0.
ssa::ValueId Lowerer::wide_quotient(ssa::ValueId high, ssa::ValueId low, ssa::ValueId count) {
  const auto with = [&](ssa::Op op, ssa::ValueId a, ssa::ValueId b) {
    return op2(op, ssa::Type::Int, a, b);
  };
  const auto by = [&](ssa::Op op, ssa::ValueId a, int64_t number) {
    return with(op, a, const_int(number));
  };
  // Carried: 0 <= low < 2^32.
  high = with(ssa::Op::Add, high, by(ssa::Op::Sar, low, 32));
  low = by(ssa::Op::And, low, kLower32);
  // Its magnitude: with sign s, (x ^ s) - s, from the lower word into the upper.
  const ssa::ValueId sign = by(ssa::Op::Sar, high, 63);
  low = with(ssa::Op::Sub, by(ssa::Op::And, with(ssa::Op::Xor, low, sign), kLower32), sign);
  high = with(ssa::Op::Add, with(ssa::Op::Xor, high, sign), by(ssa::Op::Sar, low, 32));
  low = by(ssa::Op::And, low, kLower32);
  ssa::ValueId quotient = with(ssa::Op::DivS, high, count);
  ssa::ValueId rest = with(ssa::Op::ModS, high, count);
  for (const int64_t shift : {16, 0}) {
    const ssa::ValueId digit = by(ssa::Op::And, by(ssa::Op::Sar, low, shift), 0xffff);
    const ssa::ValueId part = with(ssa::Op::Or, by(ssa::Op::Shl, rest, 16), digit);
    quotient = with(ssa::Op::Add, by(ssa::Op::Shl, quotient, 16), with(ssa::Op::DivS, part, count));
    rest = with(ssa::Op::ModS, part, count);
  }
  return with(ssa::Op::Sub, with(ssa::Op::Xor, quotient, sign), sign);
}

}  // namespace ktap::lower
