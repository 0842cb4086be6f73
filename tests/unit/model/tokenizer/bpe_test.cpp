#include "model/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

Result<Bpe> parse(const json& model) {
  const json file = {{"model", model}};
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::make(file, "F", "", "BAD_TOKENIZER"));
  return Bpe::parse(object);
}

Ids encode(const Bpe& bpe, std::string_view piece, int64_t most_ids = 1'000'000) {
  BpeScratch scratch;
  Ids ids;
  EXPECT_OK(bpe.append_ids(piece, most_ids, scratch, ids));
  return ids;
}

/// The definition, written down plainly: characters, then the best merge anywhere, until none is
/// left.
Ids reference(const json& model, const std::vector<std::string>& characters) {
  const json& vocabulary = model["vocab"];
  Ids ids;
  bool held_back = false;
  const auto release = [&] {
    if (std::exchange(held_back, false)) {
      ids.push_back(vocabulary["?"]);
    }
  };
  for (const std::string& character : characters) {
    if (vocabulary.contains(character)) {
      release();
      ids.push_back(vocabulary[character]);
      continue;
    }
    Ids bytes;
    for (const char c : character) {
      char name[8];
      std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned char>(c));
      bytes.push_back(vocabulary.value(name, -1));
    }
    if (model["byte_fallback"] == true && std::ranges::count(bytes, -1) == 0) {
      ids.insert(ids.end(), bytes.begin(), bytes.end());
      continue;
    }
    if (model["fuse_unk"] == false) {
      release();
    }
    held_back = true;
  }
  release();
  while (true) {
    size_t best_rank = model["merges"].size();
    size_t best_at = 0;
    for (size_t at = 0; at + 1 < ids.size(); ++at) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        const json& merge = model["merges"][rank];
        if (vocabulary[merge[0].get<std::string>()] == ids[at] &&
            vocabulary[merge[1].get<std::string>()] == ids[at + 1]) {
          best_rank = rank;
          best_at = at;
        }
      }
    }
    if (best_rank == model["merges"].size()) {
      return ids;
    }
    const json& merge = model["merges"][best_rank];
    ids[best_at] = vocabulary[merge[0].get<std::string>() + merge[1].get<std::string>()];
    ids.erase(ids.begin() + static_cast<int64_t>(best_at) + 1);
  }
}

/// A model of a few characters with merges at random; "?" is the unknown token.
json random_model(std::mt19937& random, const std::vector<std::string>& alphabet) {
  const auto below = [&](size_t n) { return random() % n; };
  json model = {{"unk_token", "?"},
                {"fuse_unk", below(2) == 0},
                {"byte_fallback", below(2) == 0},
                {"merges", json::array()}};
  json& vocabulary = model["vocab"];
  std::vector<std::string> tokens;
  const auto add = [&](const std::string& token) {
    if (!vocabulary.contains(token)) {
      vocabulary[token] = vocabulary.size();
      tokens.push_back(token);
    }
  };
  add("?");
  for (const std::string& character : alphabet) {
    if (below(5) != 0) {
      add(character);
    }
  }
  for (const char* byte : {"<0xE4>", "<0xB8>", "<0xAD>", "<0x78>", "<0xE2>", "<0x96>", "<0x81>"}) {
    if (below(6) != 0) {
      add(byte);
    }
  }
  for (size_t i = below(25); i-- > 0;) {
    const std::string left = tokens[below(tokens.size())];
    const std::string right = tokens[below(tokens.size())];
    const json merge = {left, right};
    if (left.size() + right.size() < 12 && std::ranges::count(model["merges"], merge) == 0) {
      model["merges"].push_back(merge);
      add(left + right);
    }
  }
  return model;
}

TEST(Bpe, GivesWhatTheDefinitionSaysAlsoWhereAPieceIsCut) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same cases in every run
  const std::vector<std::string> alphabet = {"a", "b", "c", "x", "▁", "中", "é"};
  int merged = 0;
  for (int round = 0; round < 150; ++round) {
    const json model = random_model(random, alphabet);
    SCOPED_TRACE(model.dump());
    const auto bpe = parse(model);
    ASSERT_OK(bpe);
    // The longer ones are cut into words.
    for (const size_t length : {1U, 7U, 40U, 120U}) {
      std::string piece;
      std::vector<std::string> characters;
      for (size_t i = 0; i < length; ++i) {
        characters.push_back(alphabet[random() % alphabet.size()]);
        piece += characters.back();
      }
      const Ids ids = encode(*bpe, piece);
      ASSERT_EQ(ids, reference(model, characters)) << piece;
      merged += ids.size() < length ? 1 : 0;
    }
  }
  EXPECT_GT(merged, 200);
}

TEST(Bpe, CountsTheLaterOfTwoEqualMerges) {
  const json vocabulary = {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}};
  const auto first = parse({{"vocab", vocabulary}, {"merges", {"a b", "b c"}}});
  const auto last = parse({{"vocab", vocabulary}, {"merges", {"a b", "b c", "a b"}}});
  ASSERT_OK(first);
  ASSERT_OK(last);
  EXPECT_EQ(encode(*first, "abc"), (Ids{3, 2}));
  EXPECT_EQ(encode(*last, "abc"), (Ids{0, 4}));
}

TEST(Bpe, StopsInsideAPiece) {
  const auto bpe = parse({{"vocab", {{"a", 0}, {"▁", 1}, {"▁a", 2}}}, {"merges", {"▁ a"}}});
  ASSERT_OK(bpe);
  std::string piece;
  for (int i = 0; i < 10'000; ++i) {
    piece += "▁a";
  }
  EXPECT_EQ(encode(*bpe, piece).size(), 10'000U);
  EXPECT_EQ(encode(*bpe, piece, 100).size(), 100U);
}

}  // namespace
}  // namespace rotor
