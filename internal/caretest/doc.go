// Package caretest owns the databases of tests: a SQLite folder or a PostgreSQL database of its own for each test, on both engines
// from a template that was migrated once, and the one PostgreSQL cluster that all test binaries of a run share.
//
// It never knows the product above the ground, and only tests import it.
//
// The cluster runs on Debian's binaries under a user that is not root, listens on a socket in a private folder only, and ends by
// itself some time after the last test process that uses it has gone, however that process ended. Without PostgreSQL's binaries
// those tests are skipped, with a message; where CI=true they fail. Read databases.go first, then cluster.go.
package caretest
