#include "ops/cli/quantize_line.h"

#include <gtest/gtest.h>

namespace rotor::cli {
namespace {

TEST(QuantizeLine, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_word("/models/llama-3.1"), "/models/llama-3.1");
  EXPECT_EQ(shell_word("my model"), "'my model'");
  EXPECT_EQ(shell_word("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(QuantizeLine, SaysWhatTheSpecSaysOfCalibrationAndRecipe) {
  v1::JobSpec spec;
  spec.set_model("/m");
  spec.set_output("/out dir/x");
  spec.mutable_calibration()->add_files("/a.txt:0.5");
  spec.mutable_calibration()->add_files("/b c.jsonl:0.5");
  spec.set_format(v1::FORMAT_MXFP4);
  spec.set_activations(v1::ACTIVATIONS_A4);
  spec.set_rotation(32);
  EXPECT_EQ(quantize_line(spec),
            "rotor quantize /m --output '/out dir/x' --calibration /a.txt:0.5 '/b c.jsonl:0.5' "
            "--format mxfp4 --activations a4 --rotation 32");
  spec.mutable_calibration()->set_sequences(24);
  spec.mutable_calibration()->set_seq_len(256);
  spec.set_rotation(0);
  EXPECT_EQ(quantize_line(spec),
            "rotor quantize /m --output '/out dir/x' --calibration /a.txt:0.5 '/b c.jsonl:0.5' "
            "--sequences 24 --seq-len 256 --format mxfp4 --activations a4 --rotation none");
}

}  // namespace
}  // namespace rotor::cli
