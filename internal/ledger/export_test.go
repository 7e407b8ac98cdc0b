package ledger

// LeafSize is the length of a leaf, for tests outside of the package.
const LeafSize = leafSize
