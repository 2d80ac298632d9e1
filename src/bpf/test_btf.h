// BTF by hand, for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ktap::bpf {

/// Writes BTF type by type; ids count from 1, those of a module from where its kernel's end.
class BtfWriter {
 public:
  BtfWriter() = default;
  static BtfWriter module_of(const BtfWriter& kernel) {
    BtfWriter module;
    module.strings_.clear();
    module.string_base_ = static_cast<uint32_t>(kernel.strings_.size());
    module.count_ = kernel.count_;
    return module;
  }
  uint32_t name(const std::string& text) {
    if (text.empty()) return 0;
    const auto at = string_base_ + static_cast<uint32_t>(strings_.size());
    strings_ += text;
    strings_ += '\0';
    return at;
  }
  /// `size_or_type`: as struct btf_type has it. Gives the id.
  uint32_t type(const std::string& text, uint32_t kind, uint32_t vlen,
                const std::vector<uint32_t>& rest, bool flag = false, uint32_t size_or_type = 0) {
    words_.push_back(name(text));
    words_.push_back(kind << 24 | vlen | (flag ? 1U << 31 : 0));
    words_.push_back(size_or_type);
    words_.insert(words_.end(), rest.begin(), rest.end());
    return ++count_;
  }
  std::vector<uint8_t> bytes() const {
    const auto type_bytes = static_cast<uint32_t>(words_.size() * 4);
    std::vector<uint32_t> all = {0x0001eb9f, 24,         0,
                                 type_bytes, type_bytes, static_cast<uint32_t>(strings_.size())};
    all.insert(all.end(), words_.begin(), words_.end());
    std::vector<uint8_t> out(all.size() * 4 + strings_.size());
    std::memcpy(out.data(), all.data(), all.size() * 4);
    std::memcpy(out.data() + all.size() * 4, strings_.data(), strings_.size());
    return out;
  }

 private:
  std::string strings_ = std::string(1, '\0');
  std::vector<uint32_t> words_;
  uint32_t count_ = 0;
  uint32_t string_base_ = 0;
};

/// A small kernel: struct task_struct { int pid; unsigned state : 3; int : …; bool dead; struct
/// task_struct *parent; char comm[16]; const unsigned char *name; union { u8 byte; struct pair two;
/// }; enum colour c; int codes[4]; u8 *raw; }; struct pair { int a; int b; }.
inline std::vector<uint8_t> small_task_btf() {
  BtfWriter btf;
  const uint32_t number = btf.type("int", 1, 0, {1U << 24 | 32}, false, 4);
  const uint32_t bits = btf.type("unsigned int", 1, 0, {32}, false, 4);
  const uint32_t truth = btf.type("_Bool", 1, 0, {4U << 24 | 8}, false, 1);
  const uint32_t letter = btf.type("char", 1, 0, {1U << 24 | 8}, false, 1);
  const uint32_t byte = btf.type("unsigned char", 1, 0, {8}, false, 1);
  const uint32_t u8 = btf.type("u8", 8, 0, {}, false, byte);
  const uint32_t letters = btf.type("", 3, 0, {letter, number, 16});
  const uint32_t codes = btf.type("", 3, 0, {number, number, 4});
  const uint32_t fixed = btf.type("", 10, 0, {}, false, byte);
  const uint32_t name = btf.type("", 2, 0, {}, false, fixed);
  const uint32_t raw = btf.type("", 2, 0, {}, false, u8);
  const uint32_t colour =
      btf.type("colour", 6, 2, {btf.name("RED"), 0, btf.name("BLUE"), 7}, false, 4);
  const uint32_t pair =
      btf.type("pair", 4, 2, {btf.name("a"), number, 0, btf.name("b"), number, 32}, false, 8);
  const uint32_t either =
      btf.type("", 5, 2, {btf.name("byte"), u8, 0, btf.name("two"), pair, 0}, false, 8);
  const uint32_t task = either + 2;
  const uint32_t parent = btf.type("", 2, 0, {}, false, task);
  btf.type("task_struct", 4, 11,
           {btf.name("pid"),
            number,
            0,
            btf.name("state"),
            bits,
            3U << 24 | 37,
            btf.name("dead"),
            truth,
            64,
            btf.name("parent"),
            parent,
            128,
            btf.name("comm"),
            letters,
            192,
            btf.name("name"),
            name,
            320,
            0,
            either,
            384,
            btf.name("c"),
            colour,
            448,
            btf.name("codes"),
            codes,
            512,
            btf.name("raw"),
            raw,
            640,
            btf.name("inside"),
            pair,
            704},
           true, 96);
  return btf.bytes();
}

}  // namespace ktap::bpf
