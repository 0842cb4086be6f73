#include "coordinator/access/token_table.h"

#include <gtest/gtest.h>

#include "quant/base/sha256.h"
#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

std::string line(const std::string& name, const std::string& role, const std::string& token,
                 const std::string& limits = "") {
  return name + " " + role + " sha256:" + sha256_hex(token) + " " + limits + "\n";
}

TEST(TokenTable, FindsWhoHasATokenOrACertificate) {
  const auto table = TokenTable::parse(
      "# who   what\n\n" + line("alice", "submit", "a-token", "jobs=3 output-root=/out/alice") +
          "gang worker cert:gang-1.example  # its hosts\n" + line("alice", "submit", "next"),
      "tokens");
  ASSERT_OK(table);
  const Caller* const alice = table->find_token("a-token");
  ASSERT_NE(alice, nullptr);
  EXPECT_EQ(alice->submitter.owner, "alice");
  EXPECT_EQ(alice->role, Role::kSubmit);
  EXPECT_EQ(alice->submitter.most_open_jobs, 3);
  EXPECT_EQ(alice->submitter.output_root, "/out/alice");
  EXPECT_NE(table->find_token("next"), nullptr);
  ASSERT_NE(table->find_certificate("gang-1.example"), nullptr);
  EXPECT_EQ(table->find_certificate("gang-1.example")->role, Role::kWorker);
  EXPECT_EQ(table->find_token("other"), nullptr);
  // What the file holds is not what opens the door.
  EXPECT_EQ(table->find_token("sha256:" + sha256_hex("a-token")), nullptr);
  EXPECT_EQ(table->find_token("gang-1.example"), nullptr);
  EXPECT_EQ(table->find_certificate("a-token"), nullptr);
}

TEST(TokenTable, NamesTheLineThatIsWrong) {
  const std::string good = line("a", "read", "t");
  for (const std::string& bad :
       {std::string("b\n"), std::string("b read\n"), std::string("b read sha256:12\n"),
        std::string("b read cert:\n"), line("b", "boss", "u"), line("b", "read", "u", "jobs=-1"),
        line("b", "read", "u", "jobs=1x"), line("b", "read", "u", "output-root=relative"),
        line("b", "read", "u", "colour=red"), line(std::string(65, 'n'), "read", "u"),
        line("b", "admin", "t")}) {
    EXPECT_FAILS(TokenTable::parse(good + bad, "tokens"), Code::kFailedPrecondition,
                 "BAD_TOKENS_FILE", "tokens:2");
  }
}

TEST(TokenTable, RolesAllowNoMoreThanTheySay) {
  for (const Role role : {Role::kRead, Role::kSubmit, Role::kWorker, Role::kAdmin}) {
    EXPECT_TRUE(allows(role, role));
    EXPECT_TRUE(allows(Role::kAdmin, role));
    EXPECT_EQ(*parse_role(role_name(role)), role);
  }
  EXPECT_TRUE(allows(Role::kSubmit, Role::kRead));
  EXPECT_FALSE(allows(Role::kRead, Role::kSubmit));
  EXPECT_FALSE(allows(Role::kWorker, Role::kRead));
  EXPECT_FALSE(allows(Role::kSubmit, Role::kWorker));
  EXPECT_FALSE(allows(Role::kWorker, Role::kAdmin));
}

}  // namespace
}  // namespace rotor::coordinator
