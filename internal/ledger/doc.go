// Package ledger owns the record of every act: its entries, their place in one Merkle tree per organisation (and one for the
// installation), the tiles, the signed checkpoints, the numbering of changes about people, and their verification offline.
//
// It never knows what an act means, who a person is or how a key is kept: a leaf holds codes, ids and commitments, and the
// detail beside it is sealed under a key that the caller brings, so that a detail can be destroyed while the tree stays valid.
//
// Hashes are RFC 6962's, by golang.org/x/mod/sumdb/tlog; checkpoints are C2SP tlog-checkpoint without extension lines; the
// export is laid out as C2SP tlog-tiles. The record itself is what 45 CFR 164.312(b) asks for. Read leaf.go first, then
// append.go, sequence.go and verify.go; docs/formats/leaf.md and docs/formats/tiles.md fix the bytes.
package ledger
