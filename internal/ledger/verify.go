package ledger

import (
	"archive/tar"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
)

const (
	maxEntry     = 4096 // bytes of a leaf of any version to come
	maxOpening   = openerSize + detailMaxBytes
	maxBundle    = tileWidth * (2 + maxEntry)
	maxDetails   = tileWidth * (2 + maxOpening)
	maxSkippable = 1024 // folders in the archive: tar makes them when a site is packed again
)

// Verify checks an export against the installation's public key, with nothing else at hand: the signature, every entry's hash,
// every tile, the root, the opened details. With a known checkpoint (one that an auditor kept, or a witness signed) it proves as
// well that the history known then is the beginning of this one. Each witness whose public key is given must have cosigned the
// checkpoint, or the known one. It holds one tile per level in memory, whatever the size.
//
// A flaw is a *FlawError; the report then says what was read before it.
func Verify(r io.Reader, publicKeyText string, known []byte, witnesses ...string) (Report, error) {
	pub, err := parsePublicKey(publicKeyText)
	if err != nil {
		return Report{}, err
	}
	keys := make([]witnessKey, len(witnesses))
	for i, text := range witnesses {
		if keys[i], err = parseWitnessKey(text); err != nil {
			return Report{}, err
		}
		if slices.ContainsFunc(keys[:i], func(k witnessKey) bool { return k.name == keys[i].name }) {
			return Report{}, fault.New(fault.Invalid, "two keys are given for the witness %s", keys[i].name)
		}
	}
	v := verifier{witnesses: keys, archive: archive{tar: tar.NewReader(r)}, report: Report{Acts: map[Act]int64{}, Latest: NotProvenLatest}}
	if err := v.readCheckpoint(pub); err != nil {
		return v.report, err
	}
	if len(known) > 0 {
		if err := v.readKnown(pub, known); err != nil {
			return v.report, err
		}
	}
	return v.report, v.readTree()
}

type verifier struct {
	witnesses []witnessKey // that must have cosigned
	archive   archive
	report    Report
	head      checkpoint
	org       id.Organisation
	known     *checkpoint
	tree      tree
	latest    time.Time // of the entries so far
	leaves    []Leaf    // of the bundle just read
	hashes    []byte    // of its entries
	full      []tile    // filled by the bundle, not yet compared
}

func (v *verifier) readCheckpoint(pub publicKey) error {
	msg, err := v.archive.read(fileCheckpoint, 1, maxCheckpoint)
	if err != nil {
		return err
	}
	head, org, epoch, err := openCheckpoint(msg, pub)
	if err != nil {
		return checkpointFlaw(err, fileCheckpoint, pub)
	}
	v.head, v.org = head, org
	v.report.Origin, v.report.Organisation, v.report.Epoch = head.origin, org, epoch
	v.report.Entries, v.report.Root = head.size, head.root.String()
	v.cosignatures(msg, head.size)
	return nil
}

// readKnown takes the checkpoint known from before. One of an earlier epoch counts too: what came before a loss must still be
// the beginning of the tree.
func (v *verifier) readKnown(pub publicKey, msg []byte) error {
	known, org, epoch, err := openCheckpoint(msg, pub)
	if err != nil {
		return checkpointFlaw(err, "the known checkpoint", pub)
	}
	switch {
	case org != v.org:
		return flawf(FlawKey, -1, "the known checkpoint", "it is of %s, the export is of %s", known.origin, v.head.origin)
	case epoch > v.report.Epoch:
		return flawf(FlawOlder, -1, fileCheckpoint, "the export is from before a restore that the known checkpoint comes after")
	case known.size > v.head.size && epoch == v.report.Epoch:
		return flawf(FlawOlder, v.head.size, fileCheckpoint, "the export ends at %d entries, the known checkpoint counts %d", v.head.size, known.size)
	}
	v.known, v.report.KnownSize = &known, known.size
	v.cosignatures(msg, known.size)
	return nil
}

// cosignatures notes which of the witnesses have cosigned a checkpoint. Of two cosignatures of one the first counts: the export's own.
func (v *verifier) cosignatures(msg []byte, size int64) {
	for _, k := range v.witnesses {
		if slices.ContainsFunc(v.report.Witnesses, func(c Cosignature) bool { return c.Witness == k.name }) {
			continue
		}
		if _, at, ok := openCosignature(msg, k); ok {
			v.report.Witnesses = append(v.report.Witnesses, Cosignature{Witness: k.name, Size: size, Time: at})
		}
	}
}

// compareWitnesses sees that every witness has cosigned what was proven to be this history, or its beginning.
func (v *verifier) compareWitnesses() error {
	for _, k := range v.witnesses {
		if !slices.ContainsFunc(v.report.Witnesses, func(c Cosignature) bool { return c.Witness == k.name }) {
			return flawf(FlawWitness, -1, fileCheckpoint, "the witness %s has not cosigned it", k.name)
		}
	}
	return nil
}

func checkpointFlaw(err error, file string, pub publicKey) error {
	if errors.Is(err, errOtherKey) {
		return flawf(FlawKey, -1, file, "it is not signed by the key given (%s)", pub.fingerprint())
	}
	return flawf(FlawSignature, -1, file, "%v", err)
}

// readTree goes through the archive in the order of layout.
func (v *verifier) readTree() error {
	if err := v.compareKnown(); err != nil { // a known checkpoint of an empty tree
		return err
	}
	err := layout(v.head.size, func(x item) error {
		if x.entries {
			return v.readEntries(x)
		}
		return v.readTile(x)
	})
	if err != nil {
		return err
	}
	if err := v.archive.end(); err != nil {
		return err
	}
	if root := v.tree.root(); root != v.head.root {
		return flawf(FlawRoot, -1, fileCheckpoint, "the entries give the root %s, the checkpoint was signed over %s", root, v.head.root)
	}
	if err := v.compareEpoch(); err != nil {
		return err
	}
	return v.compareWitnesses()
}

// readEntries reads a bundle of entries and hashes it. What it says is believed only when its tile has been compared.
func (v *verifier) readEntries(x item) error {
	name, start := x.name(), x.place<<tileHeight
	b, err := v.archive.read(name, 0, maxBundle)
	if err != nil {
		return err
	}
	v.leaves, v.hashes = v.leaves[:0], v.hashes[:0]
	for len(b) > 0 {
		seq := start + int64(len(v.leaves))
		entry, rest, ok := nextBundled(b)
		if !ok || len(entry) > maxEntry {
			return flawf(FlawFile, seq, name, "the bundle breaks off within the entry")
		}
		if len(v.leaves) == x.width {
			return flawf(FlawExtra, seq, name, "there are more entries than the tree has")
		}
		leaf, err := ParseLeaf(entry)
		if err != nil {
			return flawf(FlawLeaf, seq, name, "%v", err)
		}
		h := tlog.RecordHash(entry)
		v.leaves, v.hashes, b = append(v.leaves, leaf), append(v.hashes, h[:]...), rest
	}
	return v.readDetails(x)
}

// readDetails reads the opened details of the bundle, if the export carries them.
func (v *verifier) readDetails(x item) error {
	name, start := tilePath(dirDetails, x.place, x.width), x.place<<tileHeight
	b, present, err := v.archive.readOptional(name, maxDetails)
	if err != nil {
		return err
	}
	for i, leaf := range v.leaves {
		var opening []byte
		if present {
			var ok bool
			if opening, b, ok = nextBundled(b); !ok {
				return flawf(FlawFile, start+int64(i), name, "the opened details break off")
			}
		}
		switch {
		case len(opening) == 0 && leaf.Commit != [32]byte{}:
			v.report.Details.Closed++
		case len(opening) > 0:
			if _, err := openingMatches(opening, leaf.Commit); err != nil {
				return flawf(FlawDetail, start+int64(i), name, "%v", err)
			}
			v.report.Details.Opened++
		}
	}
	if len(b) > 0 {
		return flawf(FlawFile, start+int64(len(v.leaves)), name, "there are more details than entries")
	}
	return nil
}

// readTile compares a tile with what its entries, or the tiles below, give.
func (v *verifier) readTile(x item) error {
	name := x.name()
	stored, err := v.archive.read(name, x.width*tlog.HashSize, x.width*tlog.HashSize)
	if err != nil {
		return err
	}
	if x.level == 0 {
		return v.compareLeaves(x, stored)
	}
	span := int64(1) << (tileHeight * x.level) // entries under one hash
	if i := firstDifference(v.computed(x), stored); i >= 0 {
		first := (x.place<<tileHeight + int64(i)) * span
		return flawf(FlawTile, first, name, "hash %d is not that of the entries %d to %d", i, first, first+span-1)
	}
	return nil
}

// computed gives the tile that the entries read so far make.
func (v *verifier) computed(x item) []byte {
	if x.width < tileWidth {
		return v.tree.partial(x.level)
	}
	for _, t := range v.full {
		if t.level == x.level && t.place == x.place {
			return t.hashes
		}
	}
	return nil
}

// compareLeaves compares a bundle with its tile and takes its entries into the tree.
func (v *verifier) compareLeaves(x item, stored []byte) error {
	start := x.place << tileHeight
	file := item{entries: true, place: x.place, width: x.width}.name()
	if i := firstDifference(v.hashes, stored); i >= 0 && i < len(v.leaves) {
		return flawf(FlawLeaf, start+int64(i), file, "the entry is not the one whose hash the tile %s holds", x.name())
	}
	if len(v.leaves) < x.width {
		return flawf(FlawMissing, start+int64(len(v.leaves)), file, "the entry is missing")
	}
	for i, leaf := range v.leaves {
		if err := v.countLeaf(start+int64(i), leaf, file); err != nil {
			return err
		}
		v.tree.add(hashAt(v.hashes, i))
		if err := v.compareKnown(); err != nil {
			return err
		}
	}
	v.full = v.tree.takeFull()
	return nil
}

func (v *verifier) countLeaf(seq int64, leaf Leaf, file string) error {
	if leaf.Organisation != v.org {
		return flawf(FlawLeaf, seq, file, "the entry belongs to another organisation's tree (%s)", leaf.Organisation)
	}
	v.report.Acts[leaf.Act]++
	if seq == 0 {
		v.report.First = leaf.Time
	}
	if by := v.latest.Sub(leaf.Time); seq > 0 && by > backwardsTolerance {
		if v.report.BackwardsAll++; v.report.BackwardsAll <= maxBackwards {
			v.report.Backwards = append(v.report.Backwards, Backwards{Entry: seq, By: by})
		}
	}
	if seq == 0 || leaf.Time.After(v.latest) {
		v.latest, v.report.Last = leaf.Time, leaf.Time
	}
	if leaf.Act == ActRestore {
		lost := leaf.Lost()
		if lost.From < 0 || lost.From > seq || lost.To < lost.From {
			return flawf(FlawRestore, seq, file, "the restore names an impossible range")
		}
		v.report.Restores = append(v.report.Restores, Restore{Entry: seq, Time: leaf.Time, Lost: lost})
	}
	return nil
}

// compareKnown proves that the known history is the beginning of this one, by its root at its own size.
func (v *verifier) compareKnown() error {
	if v.known == nil || v.tree.size != v.known.size {
		return nil
	}
	if root := v.tree.root(); root != v.known.root {
		return flawf(FlawFork, -1, fileCheckpoint, "at %d entries the root is %s, the known checkpoint was signed over %s: these are two histories%s",
			v.known.size, root, v.known.root, v.admitted())
	}
	v.report.Latest = "at least as new as the known checkpoint, whose history it continues"
	return nil
}

// admitted says whether a restore admits the loss of what the known checkpoint covers.
func (v *verifier) admitted() string {
	for _, r := range v.report.Restores {
		if v.known.size > r.From && v.known.size <= r.To {
			return "; the known one covers entries that a restore lost, as the export admits"
		}
	}
	return ""
}

// compareEpoch sees that an epoch was begun by a restore, and that a known checkpoint was reached. There may be fewer restores than
// epochs: a restore to before an earlier one loses that one's entry, and the epoch counts on.
func (v *verifier) compareEpoch() error {
	if n := int64(len(v.report.Restores)); n >= v.report.Epoch || n == 0 && v.report.Epoch > 1 {
		return flawf(FlawRestore, -1, fileCheckpoint, "the origin is of epoch %d, the entries admit %d restores", v.report.Epoch, n)
	}
	if v.known != nil && v.known.size > v.head.size {
		return flawf(FlawOlder, v.head.size, fileCheckpoint, "the export ends at %d entries, the known checkpoint counts %d%s",
			v.head.size, v.known.size, v.admitted())
	}
	return nil
}
