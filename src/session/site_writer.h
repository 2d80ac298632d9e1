// The quick way from a record to a line of output: what an output site prints, cut once into pieces
// whose bytes are then taken straight from each record, with no value, string or table of the
// runtime in between. What is less usual goes the VM's way, and prints the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backend/unit.h"
#include "lower/lower.h"
#include "ssa/function.h"

namespace ktap::session {

class SiteWriter {
 public:
  /// Nothing for a site that prints tables, event texts, floats or unusual conversions. `module`
  /// outlives it.
  static std::optional<SiteWriter> make(const ssa::Site& site, const backend::SiteLayout& layout,
                                        const lower::OutputSite& output, const ssa::Module& module);

  /// Appends what the record prints. False: it has to go the VM's way (nil where a number is asked
  /// for), and nothing was appended.
  bool append(const uint8_t* record, std::string& out) const;

 private:
  struct Step {
    enum class Kind : uint8_t { Text, Signed, Unsigned, Hex, Bool, StringId, Bytes };
    Kind kind = Kind::Text;
    bool may_be_nil = false;  ///< a tag stands before the payload
    bool nil_has_text = true;
    bool left = false;
    uint32_t offset = 0;  ///< of the payload in the record
    uint32_t max_bytes = 0;
    uint32_t width = 0;
    std::string text;  ///< Text
  };

  explicit SiteWriter(const ssa::Module& module) : module_(&module) {}
  bool add(const ssa::Site& site, const backend::SiteLayout& layout, const lower::OutputArg& arg,
           char conversion, Step step);
  void add_text(std::string text);

  const ssa::Module* module_;
  std::vector<Step> steps_;
};

}  // namespace ktap::session
