// Random SSA for the differential tests: nested ifs and loops with phis, arithmetic, tables, shared
// variables, records.
#pragma once

#include "backend/test_support.h"

namespace ktap::backend::testing_support {

class RandomFunction {
 public:
  /// `walks`: also goes through tables entry by entry, which needs memory of our own.
  RandomFunction(uint64_t seed, Subject& subject, bool walks = true)
      : random_(seed), s_(subject), b_(subject.builder) {
    using Kind = ssa::KeyPart::Kind;
    for (int i = 0; i < 3; ++i) {
      s_.module.cells.push_back("c" + std::to_string(i));
      s_.cells.push_back(interesting());
    }
    s_.add_table({{Kind::Int, 8}}, false, 6);
    s_.add_table({{Kind::Bool, 8}, {Kind::Int, 8}}, true, 6);
    s_.add_table({{Kind::Bytes, 16}, {Kind::StrId, 8}}, false, 6);
    s_.add_table({{Kind::Int, 8}}, false, 6);
    s_.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 6);
    s_.add_table({{Kind::Int, 8}}, false, 6);
    s_.add_table({}, false, 6);
    s_.add_table({{Kind::Int, 8}}, true, 6);                  // 7: read and set, keys of any size
    s_.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, true, 6);  // 8: few keys
    s_.add_table({{Kind::Int, 8}}, true, 6);                  // 9: by thread
    using ssa::MergeOp;
    s_.module.tables[4].words = {MergeOp::Add, MergeOp::Min, MergeOp::Max};
    s_.module.tables[5].words = {MergeOp::Min, MergeOp::Max, MergeOp::Add};
    s_.module.tables[6].words = {MergeOp::Add, MergeOp::Max};
    s_.add_table({{Kind::Int, 8}}, false, 3);  // 10, 11: of samples
    s_.add_table({{Kind::Int, 8}, {Kind::Int, 8}}, false, 5);
    s_.module.tables[10].words = {MergeOp::Add, MergeOp::Max, MergeOp::Add, MergeOp::Min};
    for (size_t table : {10, 11}) s_.module.tables[table].sample_of = 1;
    s_.module.linear = {
        {-3, 3, 2}, {INT64_MIN, INT64_MAX, INT64_MAX / 3}, {7, int64_t{1} << 40, int64_t{3} << 35}};
    s_.add_table({{Kind::Int, 8}}, true, 6);  // 12: of strings
    s_.module.tables[12].value = {Kind::Bytes, 64};
    s_.add_site({{Type::Int}, {Type::MaybeInt}, {Type::Bool}, {Type::MaybeBool}});
    s_.add_site({{Type::Str, ssa::StrKind::Bytes, 16}, {Type::Str, ssa::StrKind::Id}});
    s_.add_site({{Type::Str, ssa::StrKind::Bytes, 400}});
    s_.add_site({{Type::MaybeStr, ssa::StrKind::Bytes, 64}});
    s_.module.failures.push_back({"arithmetic on nil", {}, 3});
    s_.module.failures.push_back({"division by zero", {}, 4});
    s_.module.failures.push_back({"more than 100000 loop iterations in one run", {}, 5});

    b_.at(b_.block());
    for (int i = 0; i < 3; ++i) ints_.push_back(b_.op(Op::CellGet, {}, i));
    bools_.push_back(b_.op(Op::Lt, {ints_[0], ints_[1]}));
    maybes_.push_back(b_.op(Op::ConstNil, {}, 0, Type::MaybeInt));
    maybes_.push_back(b_.op(Op::Wrap, {ints_[2]}, 0, Type::MaybeInt));
    tid_ = b_.op(Op::EventVar, {}, static_cast<int64_t>(schema::BuiltinVar::Tid), Type::Int);
    maybe_bools_.push_back(b_.op(Op::ConstNil, {}, 0, Type::MaybeBool));
    maybe_bools_.push_back(b_.op(Op::Wrap, {bools_[0]}, 0, Type::MaybeBool));
    comm_ = b_.bytes(Op::EventVar, 16, static_cast<int64_t>(schema::BuiltinVar::Execname));
    texts_.push_back(comm_);
    // Both together are too much for some verifiers.
    makes_text_ = below(3) == 0;
    combines_ = walks;
    measures_ = s_.facts.has_for_each_map_elem && below(3) == 0;
    statements(makes_text_ ? 2 : 3);
    for (const int64_t table : {7, 8, 9}) {
      if (table == 8 && !s_.facts.has_for_each_map_elem) continue;  // a hash map then
      if (walks && !makes_text_ && below(4) == 0) walk(table);
    }
    emit_all();
    b_.ret();
  }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }

  int64_t interesting() {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return -1;
      case 2:
        return INT64_MIN;
      case 3:
        return INT64_MAX;
      case 4:
        return int64_t{1} << 31;
      case 5:
        return static_cast<int64_t>(random_());
      default:
        return static_cast<int64_t>(below(7)) - 3;
    }
  }

  ValueId any_int() {
    if (below(4) == 0) return b_.integer(interesting());
    return ints_[below(ints_.size())];
  }
  ValueId any_bool() { return bools_[below(bools_.size())]; }
  ValueId any_maybe_bool() { return maybe_bools_[below(maybe_bools_.size())]; }
  ValueId any_maybe() { return maybes_[below(maybes_.size())]; }
  ValueId any_literal() {
    const char* texts[] = {"ktap_backend", "ktap", "", "ktap_backend_of_more", "x"};
    return b_.op(Op::ConstStr, {}, s_.module.intern(texts[below(5)]));
  }
  /// Of so many keys that no table has room for all of them: where a loop's counter is the key, a
  /// table might, and would then never be full.
  ValueId wide_key() { return b_.op(Op::Mul, {any_int(), b_.integer(0x100000001)}); }
  ValueId small_key() { return b_.op(Op::And, {any_int(), b_.integer(3)}); }

  int64_t number_base() {
    static constexpr int64_t kBases[] = {0, 0, 10, 16};
    return kBases[below(4)];
  }

  void statements(int depth) {
    uint64_t count = 1 + below(6);
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t pick = below(depth > 0 ? 15 : 11);
      if (makes_text_ && below(6) == 0)
        text();
      else if (pick < 5)
        arithmetic();
      else if (pick < 7)
        condition();
      else if (pick < 11)
        effect();
      else if (pick < 13 || makes_text_ || loops_ == kMaxLoops)
        branch(depth - 1);
      else
        loop(depth - 1);
    }
  }

  /// A loop with one to three variables beside its counter; between constants, or up to some
  /// number, or as long as something holds; with a way out in the middle now and then.
  void loop(int depth) {
    ++loops_;
    size_t ints = ints_.size(), bools = bools_.size(), maybes = maybes_.size();
    const std::vector<ValueId> texts = texts_, maybe_bools = maybe_bools_;
    const bool is_known = below(2) == 0;
    const uint64_t most = below(6) == 0 ? 90 : 7;
    const ValueId first = b_.integer(is_known ? static_cast<int64_t>(below(5)) - 2 : 0);
    const ValueId limit = is_known ? b_.integer(static_cast<int64_t>(below(most)) - 2)
                                   : b_.op(Op::And, {any_int(), b_.integer(7)});
    const ValueId start = any_int();
    const ValueId other = any_bool();
    const ValueId maybe = any_maybe();
    BlockId head = b_.block(), body = b_.block(), end = b_.block();
    b_.jump(head);
    b_.at(head);
    const ValueId counter = b_.op(Op::Phi, {first}, 0, Type::Int);
    const ValueId number = b_.op(Op::Phi, {start}, 0, Type::Int);
    const ValueId truth = b_.op(Op::Phi, {other}, 0, Type::Bool);
    const ValueId perhaps = b_.op(Op::Phi, {maybe}, 0, Type::MaybeInt);
    ints_.insert(ints_.end(), {counter, number});
    bools_.push_back(truth);
    maybes_.push_back(perhaps);
    const bool never_ends = below(40) == 0;
    b_.branch(never_ends ? b_.op(Op::Le, {counter, counter}) : b_.op(Op::Lt, {counter, limit}),
              body, end);
    b_.at(body);
    if (below(2) == 0) b_.op(Op::LoopGuard, {}, 2);  // a second one counts twice
    statements(never_ends ? 0 : depth);
    const bool leaves = below(3) == 0;
    const ValueId out_number = any_int();
    BlockId leaving = b_.current(), latch = leaves ? b_.block() : leaving;
    if (leaves) b_.branch(any_bool(), end, latch);
    b_.at(latch);
    b_.op(Op::LoopGuard, {}, 2);
    const ValueId step = b_.integer(1 + static_cast<int64_t>(below(2)));
    const ValueId next = b_.op(Op::Add, {counter, step});
    const std::vector<ValueId> back = {next, any_int(), any_bool(), any_maybe()};
    b_.jump(head);
    const ValueId phis[] = {counter, number, truth, perhaps};
    for (size_t i = 0; i < 4; ++i) b_.function[phis[i]].operands.push_back(back[i]);
    ints_.resize(ints);
    bools_.resize(bools);
    maybes_.resize(maybes);
    texts_ = texts;
    maybe_bools_ = maybe_bools;
    b_.at(end);
    std::vector<ValueId> left{number};
    if (leaves) left.push_back(out_number);
    ints_.push_back(b_.op(Op::Phi, left, 0, Type::Int));
    ints_.push_back(number);
    ints_.push_back(counter);
    bools_.push_back(truth);
    maybes_.push_back(perhaps);
  }

  void arithmetic() {
    Op ops[] = {Op::Add, Op::Sub, Op::Mul, Op::And, Op::Or,
                Op::Xor, Op::Shl, Op::Sar, Op::Min, Op::Max};
    uint64_t pick = below(15);
    if (pick >= 12) {
      Op buckets[] = {Op::Log2Bucket, Op::LogLinearBucket, Op::LinearBucket};
      Op op = buckets[pick - 12];
      int64_t imm = op == Op::LinearBucket ? static_cast<int64_t>(below(3)) : 0;
      ints_.push_back(b_.op(op, {any_int()}, imm));
      return;
    }
    if (pick >= 10) {
      ints_.push_back(b_.op(ops[pick - 2], {any_int(), any_int()}));
      return;
    }
    if (pick < 8) {
      ints_.push_back(b_.op(ops[pick], {any_int(), any_int()}));
      return;
    }
    ValueId divisor = b_.op(Op::Or, {any_int(), b_.integer(1)});
    if (below(2) == 0) {
      int64_t value = interesting();
      divisor = b_.integer(value == 0 ? 3 : value);
    }
    ints_.push_back(b_.op(pick == 8 ? Op::DivS : Op::ModS, {any_int(), divisor}));
  }

  void condition() {
    Op ops[] = {Op::Eq, Op::Ne, Op::Lt, Op::Le};
    const char* globs[] = {"ktap*",      "*backend",       "*_b*",  "*",       "ktap_backend",
                           "x*",         "*ktap_backend_", "",      "k?ap_*",  "*[a-f]?*",
                           "{ktap,x*}*", "*a*a*",          "[!k]*", "?*{d,p}", "*-?",
                           "\\k*"};
    switch (below(makes_text_ ? 9 : 7)) {
      case 8: {
        const ValueId name = any_name();
        bools_.push_back(
            b_.op(Op::IdGlob, {name}, s_.module.intern(below(2) == 0 ? "*_{read,write}" : "k*d")));
        break;
      }
      case 7:
        bools_.push_back(b_.op(Op::StrLess, {any_text(), any_text()}));
        break;
      case 0:
        bools_.push_back(b_.op(Op::Not, {any_bool()}));
        break;
      case 5:
        bools_.push_back(b_.op(Op::IsTrue, {any_maybe_bool()}));
        break;
      case 6:
        bools_.push_back(b_.op(Op::IsNil, {any_maybe_bool()}));
        break;
      case 1:
        bools_.push_back(b_.op(Op::IsNil, {any_maybe()}));
        break;
      case 2:
        bools_.push_back(b_.op(Op::StrEq, {any_bytes(), any_text()}));
        break;
      case 3:
        bools_.push_back(b_.op(Op::StrGlob, {any_bytes()},
                               s_.module.intern(globs[below(makes_text_ ? std::size(globs) : 8)])));
        break;
      default:
        bools_.push_back(b_.op(ops[below(4)], {any_int(), any_int()}));
        break;
    }
  }

  ValueId any_bytes() { return texts_[below(texts_.size())]; }
  ValueId any_text() { return below(3) == 0 ? any_literal() : any_bytes(); }
  uint32_t bound(ValueId id) const {
    const ssa::Inst& of = b_.function[id];
    if (of.op != Op::ConstStr) return of.max_bytes;
    return static_cast<uint32_t>(s_.module.strings[static_cast<size_t>(of.imm)].size());
  }

  ValueId any_name() {
    const ValueId name =
        b_.op(Op::EventVar, {}, static_cast<int64_t>(schema::BuiltinVar::Probename), Type::Str);
    b_.function[name].str_kind = ssa::StrKind::Id;
    return name;
  }

  void join() {
    std::vector<ValueId> parts{any_bytes()};
    uint32_t bytes = bound(parts[0]);
    for (uint64_t more = 1 + below(3); more > 0; --more) {
      parts.push_back(any_text());
      bytes += bound(parts.back());
    }
    std::swap(parts[0], parts[below(parts.size())]);
    if (bytes <= 300) texts_.push_back(b_.bytes(Op::StrJoin, bytes, 0, parts));
  }

  void text() {
    const char* needles[] = {"k", "_b", "?b*d", "", "zz", "[0-9]", "a*", "{p,-}*"};
    const ValueId text = any_bytes();
    const uint32_t bytes = bound(text);
    switch (below(10)) {
      case 0:
        ints_.push_back(b_.op(Op::StrLen, {text}));
        break;
      case 1:
        ints_.push_back(b_.op(Op::StrByte, {text}, static_cast<int64_t>(below(20))));
        break;
      case 2:
        ints_.push_back(b_.op(Op::StrFind, {text}, s_.module.intern(needles[below(8)])));
        break;
      case 3:
      case 4:
        texts_.push_back(b_.bytes(Op::StrText, ssa::kIntTextBytes, number_base(), {any_int()}));
        break;
      case 5:
        join();
        break;
      case 6: {
        const auto begin = static_cast<uint32_t>(below(bytes));
        const auto count = 1 + static_cast<uint32_t>(below(bytes - begin));
        texts_.push_back(b_.bytes(Op::StrSlice, count, begin, {text}));
        break;
      }
      case 7: {
        const ValueId zero = b_.integer(0), most = b_.integer(bytes);
        const auto within = [&](ValueId n) {
          return b_.op(Op::Min, {b_.op(Op::Max, {n, zero}), most});
        };
        const ValueId begin = within(any_int());
        const ValueId count = within(any_int());
        texts_.push_back(b_.bytes(Op::StrSub, bytes, 0, {text, begin, count}));
        break;
      }
      case 8:
        texts_.push_back(b_.bytes(Op::StrCase, bytes, static_cast<int64_t>(below(2)), {text}));
        break;
      default: {
        const ValueId name = any_name();
        texts_.push_back(b_.bytes(Op::StrBytes, 16, 0, {name}));
        break;
      }
    }
    if (texts_.size() > 12) texts_.erase(texts_.begin() + 1);
  }

  void combine() {
    if (below(2) == 0) {
      Op ops[] = {Op::CellAnd, Op::CellOr, Op::CellXor};
      b_.op(ops[below(3)], {any_int()}, static_cast<int64_t>(below(3)));
    } else {
      Op ops[] = {Op::TableAnd, Op::TableOr, Op::TableXor, Op::TableRaise};
      b_.op(ops[below(4)], {any_bool(), small_key(), any_int()}, 1);
    }
  }

  void keep_text() {
    const ValueId text = any_text();
    if (bound(text) <= 64 && below(2) == 0) b_.op(Op::TableSet, {small_key(), text}, 12);
    const ValueId got = b_.bytes(Op::TableGet, 64, 12, {small_key()}, Type::MaybeStr);
    b_.op(Op::Emit, {got}, 3);
  }

  void effect() {
    switch (below(measures_ ? 23 : 21)) {
      case 16:
      case 17:
        sample();
        break;
      case 12:
      case 13:
        master(7, {wide_key()}, false);
        break;
      case 14:
        master(8, {small_key(), small_key()}, false);
        break;
      case 15:
        master(9, {tid_}, true);
        break;
      case 8:
        b_.op(Op::TableAdd, {wide_key(), any_int()}, 3);
        break;
      case 9:
        b_.op(Op::TableMerge, {small_key(), wide_key(), b_.integer(1), any_int(), any_int()}, 4);
        break;
      case 10:
        b_.op(Op::TableMerge, {small_key(), any_int(), any_int(), any_int()}, 5);
        break;
      case 11:
        b_.op(Op::TableMerge, {any_int(), any_int()}, 6);
        break;
      case 18:
      case 19:
        if (combines_) combine();
        break;
      case 20:
        if (makes_text_) keep_text();
        break;
      case 21:
      case 22:
        whole_table();
        break;
      case 0:
        b_.op(Op::CellSet, {any_int()}, static_cast<int64_t>(below(3)));
        break;
      case 1:
        b_.op(Op::CellAdd, {any_int()}, static_cast<int64_t>(below(3)));
        break;
      case 2:
        b_.op(Op::TableAdd, {small_key(), any_int()}, 0);
        break;
      case 3:
        b_.op(Op::TableAdd, {any_bool(), small_key(), any_int()}, 1);
        break;
      case 4:
        b_.op(Op::TableSet, {any_bool(), small_key(), any_int()}, 1);
        break;
      case 5:
        b_.op(Op::TableDelete, {any_bool(), small_key()}, 1);
        break;
      case 6: {
        ValueId text = below(3) == 0 ? b_.op(Op::ConstStr, {}, s_.module.intern("lit")) : comm_;
        b_.op(Op::TableAdd, {text, any_literal(), any_int()}, 2);
        break;
      }
      default:
        maybes_.push_back(b_.op(Op::TableGet, {any_bool(), small_key()}, 1));
        break;
    }
  }

  /// One of the operations of a table that is not only added to.
  void master(int64_t table, std::vector<ValueId> key, bool deletes) {
    std::vector<ValueId> with_value = key;
    with_value.push_back(any_int());
    switch (below(deletes ? 4 : 3)) {
      case 0:
        b_.op(Op::TableSet, with_value, table);
        break;
      case 1:
        b_.op(Op::TableAdd, with_value, table);
        break;
      case 2:
        maybes_.push_back(b_.op(Op::TableGet, key, table));
        break;
      default:
        b_.op(Op::TableDelete, key, table);
        break;
    }
  }

  /// The length of a table that is not only added to, or its emptying.
  void whole_table() {
    static constexpr int64_t kTables[] = {1, 7, 9, 8, 12};
    const int64_t table = kTables[below(makes_text_ ? 5 : 4)];
    if (below(4) == 0) {
      b_.op(Op::TableClear, {}, makes_text_ ? 12 : 1);  // nobody walks over these
    } else {
      ints_.push_back(b_.op(Op::TableLength, {}, table));
    }
  }

  /// All keys and values of a table, added up in cell 0: no order shows.
  void walk(int64_t table) {
    const auto parts =
        static_cast<int64_t>(s_.module.tables[static_cast<size_t>(table)].key.size());
    // What is only walked has no keys to lay it out by: one that is looked up.
    std::vector<ValueId> key(static_cast<size_t>(parts), table == 9 ? tid_ : small_key());
    const ValueId got = b_.op(Op::TableGet, key, table);
    b_.op(Op::Emit, {any_int(), got, any_bool(), any_maybe_bool()}, 0);
    BlockId head = b_.block(), look = b_.block(), there = b_.block(), next = b_.block();
    BlockId done = b_.block();
    ValueId zero = b_.integer(0), one = b_.integer(1);
    ValueId walk = b_.integer(0);
    ValueId count = b_.op(Op::TableWalk, {walk}, table);
    b_.jump(head);
    b_.at(head);
    ValueId slot = b_.op(Op::Phi, {zero}, 0, Type::Int);
    b_.branch(b_.op(Op::Lt, {slot, count}), look, done);
    b_.at(look);
    ValueId found = b_.op(Op::TableSlot, {walk, slot}, table, Type::MaybeInt);
    b_.branch(b_.op(Op::IsNil, {found}), next, there);
    b_.at(there);
    b_.op(Op::CellAdd, {b_.op(Op::Unwrap, {found}, 0, Type::Int)}, 0);
    for (int64_t part = 0; part < parts; ++part) {
      ValueId number = b_.integer(part);
      b_.op(Op::CellAdd, {b_.op(Op::TableSlotKey, {walk, slot, number}, table, Type::Int)}, 0);
    }
    b_.jump(next);
    b_.at(next);
    b_.op(Op::LoopGuard, {}, 2);
    ValueId following = b_.op(Op::Add, {slot, one});
    b_.jump(head);
    b_.function[slot].operands.push_back(following);
    b_.at(done);
  }

  void sample() {
    ValueId key = small_key();
    ValueId bucket = b_.op(Op::And, {any_int(), b_.integer(1)});
    std::vector<ValueId> words{b_.integer(1), any_int(), any_int(), any_int()};
    const diag::Span span{++samples_, samples_ + 1};
    ValueId first = b_.op(Op::TableAdd, {key, bucket, b_.integer(1)}, 11);
    ValueId second = b_.op(Op::TableMerge, {key, words[0], words[1], words[2], words[3]}, 10);
    for (ValueId id : {first, second}) b_.function[id].span = span;
  }

  void emit_all() {
    b_.op(Op::Emit, {any_int(), any_maybe(), any_bool(), any_maybe_bool()}, 0);
    if (below(3) == 0) b_.op(Op::Emit, {comm_, any_literal()}, 1);
    if (below(2) == 0) b_.op(Op::Emit, {any_text()}, 2);
    if (below(6) == 0) b_.op(Op::RequestExit, {any_int()});
  }

  void branch(int depth) {
    size_t ints = ints_.size(), bools = bools_.size(), maybes = maybes_.size();
    size_t maybe_bools = maybe_bools_.size();
    const std::vector<ValueId> texts = texts_;
    ValueId maybe = any_maybe();
    bool unwraps = below(3) == 0;
    ValueId condition = unwraps ? b_.op(Op::IsNil, {maybe}) : any_bool();
    if (!unwraps && below(3) == 0) condition = b_.op(Op::Not, {condition});
    BlockId yes = b_.block(), no = b_.block(), join = b_.block();
    b_.branch(condition, yes, no);
    struct Side {
      std::vector<ValueId> ints, bools, maybes, maybe_bools;
    } sides[2];
    bool leaves = below(5) == 0;
    for (int i = 0; i < 2; ++i) {
      b_.at(i == 0 ? yes : no);
      if (i == 1 && unwraps) ints_.push_back(b_.op(Op::Unwrap, {maybe}, 0, Type::Int));
      statements(depth);
      if (below(3) == 0) maybes_.push_back(b_.op(Op::Wrap, {any_int()}, 0, Type::MaybeInt));
      if (below(3) == 0) maybe_bools_.push_back(b_.op(Op::Wrap, {any_bool()}, 0, Type::MaybeBool));
      for (int k = 0; k < 3; ++k) sides[i].ints.push_back(any_int());
      sides[i].bools = {any_bool(), any_bool()};
      sides[i].maybes = {any_maybe()};
      sides[i].maybe_bools = {any_maybe_bool()};
      ints_.resize(ints);
      bools_.resize(bools);
      maybes_.resize(maybes);
      maybe_bools_.resize(maybe_bools);
      texts_ = texts;
      if (i == 0 && leaves) {
        if (below(2) == 0)
          b_.op(Op::Fail, {}, static_cast<int64_t>(below(2)));
        else
          b_.ret();
      } else {
        b_.jump(join);
      }
    }
    b_.at(join);
    auto merge = [&](std::vector<ValueId>& to, const std::vector<ValueId>& a,
                     const std::vector<ValueId>& b, Type type) {
      for (size_t k = 0; k < a.size(); ++k) {
        std::vector<ValueId> operands{b[k]};
        if (!leaves) operands.insert(operands.begin(), a[k]);
        to.push_back(b_.op(Op::Phi, operands, 0, type));
      }
    };
    merge(ints_, sides[0].ints, sides[1].ints, Type::Int);
    merge(bools_, sides[0].bools, sides[1].bools, Type::Bool);
    merge(maybes_, sides[0].maybes, sides[1].maybes, Type::MaybeInt);
    merge(maybe_bools_, sides[0].maybe_bools, sides[1].maybe_bools, Type::MaybeBool);
  }

  static constexpr int kMaxLoops = 2;  // more, in one another, are too much for some verifiers

  std::mt19937_64 random_;
  int loops_ = 0;
  bool makes_text_ = false;  ///< and then has no loops
  bool measures_ = false;
  bool combines_ = false;  ///< has atomic operations on bits
  Subject& s_;
  Builder& b_;
  std::vector<ValueId> ints_, bools_, maybes_, maybe_bools_, texts_;
  uint32_t samples_ = 0;
  ValueId comm_, tid_;
};

}  // namespace ktap::backend::testing_support
