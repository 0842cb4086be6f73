#include "model/tokenizer/merge_table.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(MergeTable, KnowsWhatIsInItAndNothingElse) {
  MergeTable table(5000);
  for (int32_t i = 0; i < 5000; ++i) {
    table.add(i, i * 7, {i, i + 1}, U'a', U'b');
  }
  for (int32_t i = 0; i < 5000; ++i) {
    const MergeTable::Merge* merge = table.find(i, i * 7);
    ASSERT_NE(merge, nullptr);
    EXPECT_EQ(merge->rank, i);
    EXPECT_EQ(merge->id, i + 1);
    EXPECT_EQ(table.find(i, i * 7 + 1), nullptr);
  }
  EXPECT_TRUE(table.may_join(U'a', U'b'));
  EXPECT_FALSE(table.may_join(U'b', U'a'));
}

}  // namespace
}  // namespace rotor
