// Reading the BPE model of a tokenizer.json.
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/tokenizer/bpe.h"
#include "model/tokenizer/utf8.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

/// Settings that change the result and are in no model that is in use today.
Status refuse_unsupported(const JsonObject& model) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    ROTOR_ASSIGN_OR_RETURN(const std::string affix, model.string_or(key, ""));
    if (!affix.empty()) {
      return model.unsupported(key,
                               "it is supported only as null or empty; give calibration data as "
                               "JSON lines with \"input_ids\" instead",
                               "UNSUPPORTED_TOKENIZER");
    }
  }
  const nlohmann::json* dropout = model.find("dropout");
  if (dropout != nullptr && *dropout != 0) {
    return model.unsupported("dropout", "it is supported only as null or 0: set it so",
                             "UNSUPPORTED_TOKENIZER");
  }
  return {};
}

}  // namespace

Result<Bpe> Bpe::parse(const JsonObject& tokenizer) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject model, tokenizer.object("model"));
  // GPT-2's file has no type.
  ROTOR_ASSIGN_OR_RETURN(const std::string type, model.string_or("type", "BPE"));
  if (type != "BPE") {
    return model.unsupported("type",
                             "the model supported is BPE; give calibration data as JSON lines with "
                             "\"input_ids\" instead",
                             "UNSUPPORTED_TOKENIZER");
  }
  ROTOR_RETURN_IF_ERROR(refuse_unsupported(model));
  ROTOR_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::parse(model));
  ROTOR_ASSIGN_OR_RETURN(const auto merges, model.array("merges"));
  Bpe bpe(std::move(vocabulary), merges.size());
  ROTOR_ASSIGN_OR_RETURN(bpe.fuse_unknown_, model.boolean_or("fuse_unk", false));
  ROTOR_ASSIGN_OR_RETURN(bpe.byte_fallback_, model.boolean_or("byte_fallback", false));
  ROTOR_ASSIGN_OR_RETURN(bpe.ignore_merges_, model.boolean_or("ignore_merges", false));
  ROTOR_RETURN_IF_ERROR(bpe.add_merges(model, merges));
  ROTOR_ASSIGN_OR_RETURN(const std::string unknown, model.string_or("unk_token", ""));
  if (!unknown.empty()) {
    bpe.unknown_id_ = bpe.vocabulary_.find(unknown);
    if (bpe.unknown_id_ < 0) {
      return model.error("unk_token", "it must be in the vocabulary");
    }
  }
  return bpe;
}

Status Bpe::add_merges(const JsonObject& model, const std::vector<const nlohmann::json*>& merges) {
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const nlohmann::json& merge = *merges[rank];
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      ROTOR_RETURN_IF_ERROR(add_merge(model, rank, merge[0].get_ref<const std::string&>(),
                                      merge[1].get_ref<const std::string&>()));
      continue;
    }
    const std::string_view text =
        merge.is_string() ? merge.get_ref<const std::string&>() : std::string_view();
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      return model.error("merges", "its element " + std::to_string(rank) + " is " +
                                       brief_json(merge) +
                                       ", not two tokens: \"a b\" or [\"a\", \"b\"]");
    }
    ROTOR_RETURN_IF_ERROR(add_merge(model, rank, text.substr(0, space), text.substr(space + 1)));
  }
  return {};
}

Status Bpe::add_merge(const JsonObject& model, size_t rank, std::string_view left,
                      std::string_view right) {
  if (left.empty() || right.empty()) {
    return model.error("merges", "its element " + std::to_string(rank) + " has an empty token");
  }
  const std::string whole = std::string(left) + std::string(right);
  std::array<int32_t, 3> ids{};
  for (size_t i = 0; const std::string_view token : {left, right, std::string_view(whole)}) {
    ids[i] = vocabulary_.find(token);
    if (ids[i++] < 0) {
      return model.error("merges", "its element " + std::to_string(rank) + " needs the token " +
                                       printable(token) + ", which is not in the vocabulary");
    }
  }
  const size_t last = utf8_boundary_before(left, left.size() - 1);
  merges_.add(ids[0], ids[1], {static_cast<int32_t>(rank), ids[2]}, utf8_code_point_at(left, last),
              utf8_code_point_at(right, 0));
  return {};
}

}  // namespace rotor
