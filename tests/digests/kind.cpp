#include "tests/digests/kind.h"

#include <cblas.h>

#include <sstream>

namespace rotor::worker::digests {

std::string kind_of(const DeviceInfo& device) {
  if (device.name != "cpu") {
    return device.name + ", " ROTOR_CUDA_KIND;
  }
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": name and version.
  std::istringstream config(openblas_get_config());
  std::string name;
  std::string version;
  config >> name >> version;
  return name + " " + version + " " + openblas_get_corename() + ", " ROTOR_BUILD_KIND;
}

}  // namespace rotor::worker::digests
