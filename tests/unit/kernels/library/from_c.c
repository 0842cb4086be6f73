/* The header in plain C, and what can be told without a GPU. */
#include "from_c.h"

#include <string.h>

#include "rotor_kernels.h"

const char* wrong_from_c(void) {
  rotor_quantize_args args;
  memset(&args, 0, sizeof(args));
  args.rows = 1;
  args.cols = 72;
  args.block = 16;
  args.format = ROTOR_NVFP4;
  args.global_scale = 1.0F;
  if (rotor_quantize(NULL, &args, NULL, NULL, NULL) != ROTOR_INVALID_ARGUMENT) {
    return "72 columns in groups of 16 pass";
  }
  if (strstr(rotor_last_error(), "72 columns") == NULL) {
    return "the error does not tell the columns";
  }
  args.cols = 64;
  args.format = ROTOR_INT4;
  if (rotor_quantize(NULL, &args, NULL, NULL, NULL) != ROTOR_UNSUPPORTED) {
    return "int4 activations pass";
  }
  if (rotor_quantize(NULL, NULL, NULL, NULL, NULL) != ROTOR_INVALID_ARGUMENT) {
    return "no arguments pass";
  }
  if (rotor_scale_bytes(ROTOR_SCALES_IN_TILES, 129, 5) != 4 * 512) {
    return "129 rows of 5 groups are not four tiles";
  }
  const rotor_weight_scheme scheme = {ROTOR_NVFP4, 16, ROTOR_SCALE_E8M0, ROTOR_GLOBAL_DIVISOR};
  int64_t bytes = 0;
  if (rotor_packed_weight_bytes(&scheme, 16, 128, &bytes) != ROTOR_INVALID_ARGUMENT) {
    return "nvfp4 with E8M0 scales passes";
  }
  const rotor_weight_scheme right = {ROTOR_NVFP4, 16, ROTOR_SCALE_E4M3, ROTOR_GLOBAL_DIVISOR};
  if (rotor_packed_weight_bytes(&right, 16, 128, &bytes) != ROTOR_OK || bytes != 1024 + 128) {
    return "a tile of one chunk is not 1152 bytes";
  }
  const rotor_weight weight = {right, 16, 128, 1.0F, &bytes};
  if (rotor_gemm(NULL, NULL, 1, &weight, NULL, NULL, 0, NULL) != ROTOR_INVALID_ARGUMENT) {
    return "a product without a handle passes";
  }
  if (rotor_kernels_create(NULL, NULL) != ROTOR_INVALID_ARGUMENT) {
    return "a handle goes nowhere";
  }
  rotor_kernels_destroy(NULL);
  return NULL;
}
