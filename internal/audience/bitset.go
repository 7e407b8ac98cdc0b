package audience

import (
	"math/bits"

	"github.com/RoaringBitmap/roaring/v2"
)

// bitset holds one bit for every ordinal: what rules are computed in. A million people are 125 KB, so an operation on all of them
// is some microseconds; what is stored is compressed (postings).
type bitset []uint64

// pair is what a rule says of everyone: who matches and of whom it is unknown. The rest does not match; the two never overlap.
type pair struct{ yes, open bitset }

func words(size uint32) int { return int((uint64(size) + 63) / 64) }

func (b bitset) set(o uint32)           { b[o>>6] |= 1 << (o & 63) }
func (b bitset) clear(o uint32)         { b[o>>6] &^= 1 << (o & 63) }
func (b bitset) has(o uint32) bool      { return int(o>>6) < len(b) && b[o>>6]>>(o&63)&1 == 1 }
func (b bitset) put(o uint32, yes bool) { b.clear(o); b[o>>6] |= uint64(one(yes)) << (o & 63) }

func one(yes bool) uint32 {
	if yes {
		return 1
	}
	return 0
}

func (b bitset) and(c bitset) {
	for i := range b {
		b[i] &= c[i]
	}
}

func (b bitset) or(c bitset) {
	for i := range b {
		b[i] |= c[i]
	}
}

func (b bitset) andNot(c bitset) {
	for i := range b {
		b[i] &^= c[i]
	}
}

func (b bitset) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// each calls fn for every member in order.
func (b bitset) each(fn func(o uint32)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			fn(uint32(i)<<6 | uint32(bits.TrailingZeros64(w)))
		}
	}
}

// scan adds to out those members of mask whose value in the column lies from lo to hi. Value 0 is none.
func scan(column []uint32, mask, out bitset, lo, hi uint32) {
	if lo == 0 {
		lo = 1
	}
	if lo > hi {
		return
	}
	width := hi - lo
	for i, m := range mask {
		if m == 0 {
			continue
		}
		at := i << 6
		if at+64 <= len(column) && bits.OnesCount64(m) > 16 {
			var w uint64
			for j, v := range column[at : at+64 : at+64] {
				w |= uint64(one(v-lo <= width)) << (j & 63)
			}
			out[i] |= w & m
			continue
		}
		var w uint64
		for rest := m; rest != 0; rest &= rest - 1 {
			j := bits.TrailingZeros64(rest)
			w |= uint64(one(column[at+j]-lo <= width)) << (j & 63)
		}
		out[i] |= w
	}
}

// postings are the ordinals that have one value: a plain list while they are few, else a compressed bitmap.
type postings struct {
	list  []uint32
	many  *roaring.Bitmap
	dense bool // many has parts that are bitmaps themselves
}

const fewPostings = 512

func (p *postings) len() int {
	if p.many != nil {
		return int(p.many.GetCardinality())
	}
	return len(p.list)
}

func (p *postings) add(o uint32) {
	switch {
	case p.many != nil:
		p.many.Add(o)
	case len(p.list) < fewPostings:
		p.list = append(p.list, o)
	default:
		p.many = roaring.New()
		p.many.AddMany(p.list)
		p.many.Add(o)
		p.list = nil
	}
}

// without copies the postings less the stale ones, ready for more.
func (p *postings) without(stale bitset, gone *roaring.Bitmap) postings {
	if p.many != nil {
		return postings{many: roaring.AndNot(p.many, gone)}
	}
	var kept []uint32
	for _, o := range p.list {
		if !stale.has(o) {
			kept = append(kept, o)
		}
	}
	return postings{list: kept}
}

// seal ends the adding: no slack is kept.
func (p *postings) seal() {
	if p.many == nil {
		p.list = append([]uint32(nil), p.list...)
		return
	}
	if p.many.GetCardinality() <= fewPostings/2 {
		*p = postings{list: p.many.ToArray()}
		return
	}
	p.many.RunOptimize()
	p.many = p.many.Clone() // a clone has no spare room
	p.dense = p.many.Stats().BitmapContainers > 0
}

// orInto adds the ordinals to b. spare is a bitset to work in.
func (p *postings) orInto(b, spare bitset) {
	switch {
	case p.many == nil:
		for _, o := range p.list {
			b[o>>6] |= 1 << (o & 63)
		}
	case !p.dense:
		p.many.WriteDenseTo(b)
	default: // WriteDenseTo writes over what stands where a part is a bitmap
		clear(spare)
		p.many.WriteDenseTo(spare)
		b.or(spare)
	}
}
