// The tables of the job store.
//
// Thread-safety, errors: those of Database; FAILED_PRECONDITION, reason STORE_NEWER, for a store
// that a newer program wrote.
#pragma once

#include "coordinator/store/sqlite.h"

namespace rotor::coordinator {

inline constexpr int kSchemaVersion = 2;

/// Makes the tables of a new store, or checks integrity and version of one that exists and brings
/// an older one up to this version.
Status prepare_schema(Database* database);

}  // namespace rotor::coordinator
