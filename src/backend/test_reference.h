// The judge of the differential tests: SSA evaluated directly, one operation after the other, in
// the most naive way. For tests alone. Knows Int, Bool, Maybe, execname and literals; no event
// fields.
#pragma once

#include "backend/layout.h"
#include "backend/test_support.h"
#include "base/check.h"
#include "base/glob.h"
#include "ssa/buckets.h"

namespace ktap::backend::testing_support {

class Reference {
 public:
  Reference(const Subject& subject) : subject_(subject), function_(subject.builder.function) {
    out.cells = subject.cells;
    out.tables.resize(subject.module.tables.size());
  }

  Outcome out;
  int64_t tid = bpf::FakeTask().tid;  ///< of the thread that runs

  void run() {
    values_.assign(function_.values.size(), {});
    uint32_t block = 0, from = 0;
    while (true) {
      const ssa::Block& b = function_.blocks[block];
      take_phis(b, from);
      ValueId last = b.insts.back();
      for (ValueId id : b.insts) {
        const ssa::Inst& inst = function_[id];
        if (inst.op != Op::Phi && id != last && !is_lost(inst)) values_[id.index] = evaluate(inst);
        if (failed_ < 0) continue;
        ++out.counters["failure " + std::to_string(failed_)];
        return;
      }
      const ssa::Inst& end = function_[last];
      if (end.op == Op::Return) return;
      if (end.op == Op::Fail) {
        ++out.counters["failure " + std::to_string(end.imm)];
        return;
      }
      from = block;
      bool first = end.op == Op::Jump || get(end.operands[0]).number != 0;
      block = b.succs[first ? 0 : 1].index;
    }
  }

 private:
  struct Value {
    int64_t number = 0;
    bool is_nil = false;
    std::string text;
  };

  const Value& get(ValueId id) const { return values_[id.index]; }

  void take_phis(const ssa::Block& b, uint32_t from) {
    std::vector<std::pair<ValueId, Value>> taken;
    for (ValueId id : b.insts) {
      if (function_[id].op != Op::Phi) break;
      for (size_t i = 0; i < b.preds.size(); ++i) {
        if (b.preds[i].index == from) taken.emplace_back(id, get(function_[id].operands[i]));
      }
    }
    for (auto& [id, value] : taken) values_[id.index] = value;
  }

  static int64_t divide(int64_t a, int64_t b, bool quotient) {
    if (b == -1) return quotient ? static_cast<int64_t>(0 - static_cast<uint64_t>(a)) : 0;
    return quotient ? a / b : a % b;
  }

  static int64_t arithmetic(Op op, int64_t a, int64_t b) {
    auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
    switch (op) {
      case Op::Add:
        return static_cast<int64_t>(ua + ub);
      case Op::Sub:
        return static_cast<int64_t>(ua - ub);
      case Op::Mul:
        return static_cast<int64_t>(ua * ub);
      case Op::DivS:
        return divide(a, b, true);
      case Op::ModS:
        return divide(a, b, false);
      case Op::And:
        return a & b;
      case Op::Or:
        return a | b;
      case Op::Xor:
        return a ^ b;
      case Op::Shl:
        return static_cast<int64_t>(ua << (ub & 63));
      case Op::Sar:
        return a >> (ub & 63);
      case Op::Eq:
        return a == b;
      case Op::Ne:
        return a != b;
      case Op::Lt:
        return a < b;
      case Op::Min:
        return std::min(a, b);
      case Op::Max:
        return std::max(a, b);
      default:
        KTAP_CHECK(op == Op::Le);
        return a <= b;
    }
  }

  /// What a walk over a table sees.
  Value walk(const ssa::Inst& i) {
    if (i.op == Op::TableWalk) {
      return Value{static_cast<int64_t>(out.tables[static_cast<size_t>(i.imm)].size()), false, ""};
    }
    if (i.op == Op::TableSlot) return Value{entry(i).second[0], false, ""};
    const int64_t part = get(i.operands[2]).number;
    return Value{as_int(entry(i).first, static_cast<size_t>(8 * part)), false, ""};
  }

  Value whole_table(const ssa::Inst& i) {
    Content& entries = out.tables[static_cast<size_t>(i.imm)];
    const auto length = static_cast<int64_t>(entries.size());
    if (i.op == Op::TableClear) entries.clear();
    return Value{length, false, ""};
  }

  Value guard(const ssa::Inst& i) {
    if (i.op == Op::LoopGuard && --budget_ < 0) failed_ = i.imm;
    if (i.op == Op::CallGuard && --calls_ < 0) failed_ = i.imm;
    return {};
  }

  Value evaluate(const ssa::Inst& i) {
    auto n = [&](size_t k) { return get(i.operands[k]).number; };
    auto number = [](int64_t v) { return Value{v, false, ""}; };
    if (ssa::is_cell_op(i.op)) return cell(i);
    if (ssa::is_walk_op(i.op)) return walk(i);
    if (ssa::is_whole_table_op(i.op)) return whole_table(i);
    if (ssa::is_table_op(i.op)) return table(i);
    switch (i.op) {
      case Op::ConstInt:
      case Op::ConstBool:
        return number(i.imm);
      case Op::ConstStr:
        return Value{i.imm, false, subject_.module.strings[static_cast<size_t>(i.imm)]};
      case Op::ConstNil:
        return Value{0, true, ""};
      case Op::Not:
        return number(n(0) == 0);
      case Op::StrEq:
        return number(get(i.operands[0]).text == get(i.operands[1]).text);
      case Op::StrGlob:
      case Op::IdGlob:
        return number(glob_match(subject_.module.strings[static_cast<size_t>(i.imm)],
                                 get(i.operands[0]).text));
      case Op::StrLess:
      case Op::StrLen:
      case Op::StrByte:
      case Op::StrFind:
      case Op::StrBytes:
      case Op::StrText:
      case Op::StrJoin:
      case Op::StrSlice:
      case Op::StrSub:
      case Op::StrCase:
        return text(i);
      case Op::IsNil:
        return number(get(i.operands[0]).is_nil);
      case Op::IsTrue:
        return number(!get(i.operands[0]).is_nil && n(0) != 0);
      case Op::Unwrap:
      case Op::Wrap:
        return get(i.operands[0]);
      case Op::EventVar:
        if (static_cast<schema::BuiltinVar>(i.imm) == schema::BuiltinVar::Tid) return number(tid);
        if (static_cast<schema::BuiltinVar>(i.imm) == schema::BuiltinVar::Probename) {
          return Value{subject_.group.name_ids[0], false, "sys_enter_read"};
        }
        return Value{0, false, kComm};
      case Op::LoopGuard:
      case Op::CallGuard:
      case Op::LoopTurn:
        return guard(i);
      case Op::Emit:
        record(i);
        return {};
      case Op::RequestExit:
        if (out.armed == 1) out.exit_status = n(0);
        out.armed = 2;
        return {};
      case Op::Log2Bucket:
      case Op::LogLinearBucket:
      case Op::LinearBucket:
        return number(ssa::bucket_of(i, subject_.module, n(0)));
      default:
        return number(arithmetic(i.op, n(0), n(1)));
    }
  }

  /// Entries are numbered in the order of their keys here, otherwise elsewhere.
  const Content::value_type& entry(const ssa::Inst& i) const {
    auto at = out.tables[static_cast<size_t>(i.imm)].begin();
    std::advance(at, get(i.operands[1]).number);
    return *at;
  }

  /// An earlier update of the same sample found its table full. Each sample has a span of its own.
  bool is_lost(const ssa::Inst& i) const {
    const bool updates = i.op == Op::TableAdd || i.op == Op::TableMerge;
    return updates && lost_sample_.end != 0 && i.span.begin == lost_sample_.begin;
  }

  Value cell(const ssa::Inst& i) {
    int64_t& cell = out.cells[static_cast<size_t>(i.imm)];
    const int64_t operand = i.operands.empty() ? 0 : get(i.operands[0]).number;
    switch (i.op) {
      case Op::CellSet:
        cell = operand;
        break;
      case Op::CellAdd:
        add(cell, operand);
        break;
      case Op::CellAnd:
        cell &= operand;
        break;
      case Op::CellOr:
        cell |= operand;
        break;
      case Op::CellXor:
        cell ^= operand;
        break;
      default:
        break;
    }
    return Value{cell, false, ""};
  }

  /// Operations on the characters of strings.
  Value text(const ssa::Inst& i) {
    const Value& first = get(i.operands[0]);
    const std::string& a = first.text;
    const auto imm = static_cast<size_t>(i.imm);
    auto number = [](int64_t v) { return Value{v, false, ""}; };
    auto bytes = [](std::string v) { return Value{0, false, std::move(v)}; };
    switch (i.op) {
      case Op::StrLess:
        return number(a < get(i.operands[1]).text);
      case Op::StrLen:
        return number(static_cast<int64_t>(a.size()));
      case Op::StrByte:
        return number(imm < a.size() ? static_cast<unsigned char>(a[imm]) : 0);
      case Op::StrFind: {
        const std::string& what = subject_.module.strings[imm];
        const bool is_glob = what.find_first_of("*?[") != std::string::npos;
        const size_t at = is_glob ? glob_find(what, a, 0) : a.find(what);
        return number(at == std::string::npos ? 0 : static_cast<int64_t>(at) + 1);
      }
      case Op::StrBytes:
        return bytes(subject_.module.strings[static_cast<size_t>(first.number)]);
      case Op::StrText:
        if (i.imm == 0) return bytes(std::to_string(first.number));
        if (i.imm == 10) return bytes(fmt::format("{}", static_cast<uint64_t>(first.number)));
        return bytes(fmt::format("{:x}", static_cast<uint64_t>(first.number)));
      case Op::StrJoin: {
        std::string all;
        for (ValueId part : i.operands) all += get(part).text;
        return bytes(all);
      }
      case Op::StrSlice:
        return bytes(imm < a.size() ? a.substr(imm, i.max_bytes) : "");
      case Op::StrSub: {
        const auto begin = static_cast<size_t>(get(i.operands[1]).number);
        const auto count = static_cast<size_t>(get(i.operands[2]).number);
        return bytes(begin < a.size() ? a.substr(begin, count) : "");
      }
      default: {
        KTAP_CHECK(i.op == Op::StrCase);
        std::string all = a;
        for (char& c : all) {
          if (imm != 0 && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
          if (imm == 0 && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        }
        return bytes(all);
      }
    }
  }

  static int64_t& word_of(Content& content, const Bytes& key) {
    return content.try_emplace(key, 1).first->second[0];
  }

  Value table(const ssa::Inst& i) {
    auto& content = out.tables[static_cast<size_t>(i.imm)];
    const ssa::TableInfo& info = subject_.module.tables[static_cast<size_t>(i.imm)];
    Bytes key;
    for (size_t k = 0; k < info.key.size(); ++k) {
      const Value& part = get(i.operands[k]);
      Bytes bytes = info.key[k].kind == ssa::KeyPart::Kind::Bytes
                        ? padded(part.text, info.key[k].max_bytes)
                        : word(part.number);
      key.insert(key.end(), bytes.begin(), bytes.end());
    }
    if (key.empty()) key = word(0);  // a table without keys has one entry
    auto it = content.find(key);
    bool is_full = it == content.end() && content.size() >= info.max_entries;
    if (i.op == Op::TableGet && it == content.end()) return Value{0, true, ""};
    if (i.op == Op::TableGet && info.value.kind == ssa::KeyPart::Kind::Bytes)
      return Value{0, false, texts_.at(key)};
    if (i.op == Op::TableGet) return Value{it->second[0], false, ""};
    if (i.op == Op::TableAnd && it == content.end()) return {};
    if (i.op == Op::TableDelete) {
      content.erase(key);
    } else if (is_full) {
      ++out.counters["table " + info.name];
      if (info.sample_of != 0) lost_sample_ = i.span;
    } else if (i.op == Op::TableSet && info.value.kind == ssa::KeyPart::Kind::Bytes) {
      // As the outcome has it: the first word of the value.
      const std::string& stored = get(i.operands.back()).text;
      content[key] = {as_int(padded(stored, 8))};
      texts_[key] = stored;
    } else if (i.op == Op::TableSet) {
      content[key] = {get(i.operands.back()).number};
    } else if (i.op == Op::TableAnd) {
      content[key][0] &= get(i.operands.back()).number;
    } else if (i.op == Op::TableOr) {
      word_of(content, key) |= get(i.operands.back()).number;
    } else if (i.op == Op::TableXor) {
      word_of(content, key) ^= get(i.operands.back()).number;
    } else if (i.op == Op::TableRaise) {
      int64_t& now = word_of(content, key);
      const int64_t number = get(i.operands.back()).number;
      if (static_cast<uint64_t>(now) < static_cast<uint64_t>(number)) now = number;
    } else {
      auto [at, is_new] = content.try_emplace(key, info.words.size());
      for (size_t k = 0; k < info.words.size(); ++k) {
        int64_t& now = at->second[k];
        const int64_t sample = get(i.operands[info.key.size() + k]).number;
        now = is_new ? sample : merge_word(info.words[k], now, sample);
      }
    }
    return {};
  }

  void record(const ssa::Inst& i) {
    const ssa::Site& site = subject_.module.sites[static_cast<size_t>(i.imm)];
    Bytes bytes = word(i.imm);
    for (size_t k = 0; k < site.args.size(); ++k) {
      const Value& value = get(i.operands[k]);
      bool is_maybe = ssa::is_maybe(site.args[k].type);
      Bytes part = is_maybe ? word(value.is_nil ? 0 : 1) : Bytes();
      Bytes payload = site.args[k].str_kind == ssa::StrKind::Bytes
                          ? padded(value.text, round_up8(site.args[k].max_bytes))
                          : word(value.number);
      bytes.insert(bytes.end(), part.begin(), part.end());
      bytes.insert(bytes.end(), payload.begin(), payload.end());
    }
    out.records.push_back(bytes);
  }

  static void add(int64_t& to, int64_t value) {
    to = static_cast<int64_t>(static_cast<uint64_t>(to) + static_cast<uint64_t>(value));
  }

  std::map<Bytes, std::string> texts_;  ///< strings in tables, by their key
  const Subject& subject_;
  const ssa::Function& function_;
  std::vector<Value> values_;
  int64_t budget_ = 100000;
  int64_t calls_ = 1000000;
  int64_t failed_ = -1;  // the failure of a guard
  diag::Span lost_sample_;
};

}  // namespace ktap::backend::testing_support
