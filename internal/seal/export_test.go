package seal

// SetLimit lowers the number of seals after which another key takes over.
func (k *Keys) SetLimit(n int64) { k.limit = n }

// Seals makes the key look used.
func (key Key) Seals(n int64) { key.s.seals.Store(n) }

// ID gives the key id that stands in an envelope.
func (key Key) ID() uint32 { return key.s.id }

// UsedStep is the step of seal_key.used.
const UsedStep = usedStep

// KeyID reads the key id of an envelope.
func KeyID(sealed []byte) uint32 {
	h, err := parseHeader(sealed)
	if err != nil {
		return 0
	}
	return h.key
}
