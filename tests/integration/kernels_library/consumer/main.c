#include <rotor_kernels.h>
#include <stdio.h>

int main(void) {
  const rotor_weight_scheme scheme = {ROTOR_MXFP4, 32, ROTOR_SCALE_E8M0, ROTOR_GLOBAL_DIVISOR};
  int64_t bytes = 0;
  if (rotor_packed_weight_bytes(&scheme, 4096, 4096, &bytes) != ROTOR_OK) {
    fprintf(stderr, "%s\n", rotor_last_error());
    return 1;
  }
  printf("%s %lld\n", rotor_kernels_version(), (long long)bytes);
  return 0;
}
