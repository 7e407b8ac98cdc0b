// Package store owns the database: SQLite in a data folder or PostgreSQL behind a DSN, the one transaction type [Tx] with its
// fixed Now and its Scope, group commit, migrations, backup, and the lock of the data folder.
//
// It never knows what a row means. The tables belong to the packages that name them in their SQL; store runs whole statements and
// sees sealed bytes only.
//
// Write is the only way to change anything. It returns after the commit is on the disk (SQLite: WAL with synchronous=FULL, one
// fsync per group), so what a caller was told is done survives a crash. An error from Write means that nothing of the closure
// stays, with two exceptions that say so: PostgreSQL's answer to COMMIT was lost, and the disk failed under SQLite's.
//
// Rules for closures, the same on both engines and enforced on both:
//
//   - use the closure's own context and Tx; a second Write or Read inside one is refused;
//   - one open query at a time: read the rows to their end, or close them, before the next statement;
//   - an error of a statement ends the transaction; returning nil after it does not help;
//   - no network, no waiting: on SQLite every other writer stands behind this one;
//   - no deferred constraints: what only COMMIT can refuse would fail a whole group for one of them;
//   - a closure may be run more than once (PostgreSQL retries serialization failures), so it changes nothing outside but by OnCommit.
//
// Read store.go first, then writer.go for the group commit and rewrite.go for the small differences of the engines' SQL.
package store
