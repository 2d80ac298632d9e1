// Documentation/bpf/btf.rst: a header, types one behind the other, names.
#include "bpf/function_btf.h"

#include <cstring>
#include <string>

namespace ktap::bpf {
namespace {

constexpr uint32_t kMagicAndVersion = 0xeb9f | 1 << 16;  // flags: 0
constexpr uint32_t kHeaderBytes = 24;
constexpr uint32_t kKindInt = 1, kKindFunc = 12, kKindFuncProto = 13;
constexpr uint32_t kStatic = 0, kGlobal = 1;  // linkage: what is called back must be static
constexpr uint32_t kInt = 1, kProto = 2, kMain = 3, kCallback = 4;

class Writer {
 public:
  uint32_t name(const std::string& text) {
    const auto at = static_cast<uint32_t>(names_.size());
    names_ += text + '\0';
    return at;
  }
  /// `detail`: members or linkage; `about`: size in bytes, or another type.
  void type(uint32_t name, uint32_t kind, uint32_t detail, uint32_t about) {
    word(name);
    word(kind << 24 | detail);
    word(about);
  }
  void word(uint32_t value) { types_.push_back(value); }
  std::vector<uint8_t> finish() {
    const auto types_bytes = static_cast<uint32_t>(4 * types_.size());
    const auto names_bytes = static_cast<uint32_t>(names_.size());
    const uint32_t header[] = {kMagicAndVersion, kHeaderBytes, 0,
                               types_bytes,      types_bytes,  names_bytes};
    static_assert(sizeof header == kHeaderBytes);
    std::vector<uint8_t> out(kHeaderBytes + types_bytes + names_bytes);
    std::memcpy(out.data(), header, kHeaderBytes);
    std::memcpy(out.data() + kHeaderBytes, types_.data(), types_bytes);
    std::memcpy(out.data() + kHeaderBytes + types_bytes, names_.data(), names_bytes);
    return out;
  }

 private:
  std::vector<uint32_t> types_;
  std::string names_ = std::string(1, '\0');
};

}  // namespace

std::vector<uint8_t> btf_of_functions() {
  Writer out;
  out.type(out.name("int"), kKindInt, 0, 4);
  out.word(1U << 24 | 32);  // signed, 32 bits
  out.type(0, kKindFuncProto, 0, kInt);
  out.type(out.name("handlers"), kKindFunc, kGlobal, kProto);
  out.type(out.name("turn"), kKindFunc, kStatic, kProto);
  return out.finish();
}

std::vector<FunctionInfo> function_infos(const std::vector<uint32_t>& callbacks) {
  std::vector<FunctionInfo> out = {{0, kMain}};
  for (const uint32_t insn : callbacks) out.push_back({insn, kCallback});
  return out;
}

}  // namespace ktap::bpf
