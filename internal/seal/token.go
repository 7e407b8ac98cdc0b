package seal

import (
	"context"
	"crypto/hmac"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/carepost/carepost/internal/fault"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/store"
)

// TokenKind is what a token in a link is for; a token of one kind is none of another. The numbers are in no token: append only all the same.
type TokenKind uint8

// The kinds of tokens in links.
const (
	TokenPickup      TokenKind = 1
	TokenUnsubscribe TokenKind = 2
	TokenHit         TokenKind = 3
	TokenForm        TokenKind = 4
)

// AddressKind is what a token in the local part of an address is for.
type AddressKind uint8

// The kinds of tokens in addresses.
const (
	AddressBounce AddressKind = 1 // VERP: the envelope sender
	AddressReply  AddressKind = 2 // Reply-To
)

const (
	maxToken    = 2048 // characters; more is no link of ours
	tokenPlain  = 4 + 16
	addressMAC  = 10
	addressSize = 4 + 16 + addressMAC
	// AddressLength is the length of an address token in characters: a local part has 64 (RFC 5321 4.5.3.1.1).
	AddressLength = addressSize * 8 / 5
	// tokenTimeout bounds the one look-up that a token of a key not yet seen here needs.
	tokenTimeout = 5 * time.Second
)

// The alphabet of ids: no padding is needed, 30 bytes fill 48 characters.
var addressText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// name is bound into the token.
func (kind TokenKind) name() string {
	switch kind {
	case TokenPickup:
		return "pickup"
	case TokenUnsubscribe:
		return "unsubscribe"
	case TokenHit:
		return "hit"
	case TokenForm:
		return "form"
	}
	return ""
}

func (kind AddressKind) name() string {
	switch kind {
	case AddressBounce:
		return "bounce"
	case AddressReply:
		return "reply"
	}
	return ""
}

var (
	errToken   = fault.New(fault.NotFound, "not a link of this installation").Hint("open the link whole, as it stands in the message")
	errAddress = fault.New(fault.NotFound, "not an address of this installation")
)

// MintToken makes the opaque text of a link: organisation, object and extra, sealed under the installation's key of the month. Two
// tokens for one object differ.
func (k *Keys) MintToken(kind TokenKind, org id.Organisation, object id.UUID, extra []byte) string {
	s := k.tokenKey()
	plain := binary.BigEndian.AppendUint32(make([]byte, 0, tokenPlain+len(extra)), uint32(org))
	plain = append(append(plain, object[:]...), extra...)
	s.seals.Add(1)
	sealed, err := sealWith(s.aead, header{key: s.id}, tokenCell(kind), id.Installation, plain)
	if err != nil {
		panic(err) // never happens: extra is ours and short
	}
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// OpenToken reads the text of a link of one kind.
func (k *Keys) OpenToken(kind TokenKind, text string) (org id.Organisation, object id.UUID, extra []byte, err error) {
	if len(text) > maxToken || kind.name() == "" {
		return 0, object, nil, errToken
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // the decoder skips line ends
		return 0, object, nil, errToken
	}
	h, err := parseHeader(sealed)
	if err != nil || h.flags != 0 {
		return 0, object, nil, errToken
	}
	s, err := k.tokenKeyByID(h.key)
	if err != nil {
		return 0, object, nil, err
	}
	plain, err := openWith(s.aead, h, tokenCell(kind), id.Installation, sealed)
	if err != nil || len(plain) < tokenPlain {
		return 0, object, nil, errToken
	}
	return id.Organisation(binary.BigEndian.Uint32(plain)), id.UUID(plain[4:tokenPlain]), plain[tokenPlain:], nil
}

// MintAddress makes the 48 characters of a local part. Whoever reads the address sees the organisation's number and the object's id,
// which say nothing; nobody else can make one.
func (k *Keys) MintAddress(kind AddressKind, org id.Organisation, object id.UUID) string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, addressSize), uint32(org))
	b = append(b, object[:]...)
	mac := addressSum(k.addressKeys()[0], kind, b)
	return addressText.EncodeToString(append(b, mac...))
}

// OpenAddress reads 48 characters of a local part, in any case: mail servers change it.
func (k *Keys) OpenAddress(kind AddressKind, text string) (org id.Organisation, object id.UUID, err error) {
	if len(text) != AddressLength || kind.name() == "" {
		return 0, object, errAddress
	}
	b, err := addressText.DecodeString(strings.ToLower(text))
	if err != nil || len(b) != addressSize {
		return 0, object, errAddress
	}
	clear, mac := b[:addressSize-addressMAC], b[addressSize-addressMAC:]
	for _, s := range k.addressKeys() {
		if hmac.Equal(mac, addressSum(s, kind, clear)) {
			return id.Organisation(binary.BigEndian.Uint32(clear)), id.UUID(clear[4:]), nil
		}
	}
	return 0, object, errAddress
}

func addressSum(s *secret, kind AddressKind, clear []byte) []byte {
	sum := Key{s}.MAC("address", []byte(kind.name()), clear)
	return sum[:addressMAC]
}

func tokenCell(kind TokenKind) Cell { return Cell{Table: "token", Column: kind.name()} }

// tokenKey gives the newest key for links; Open and Rotate see to it that there is one.
func (k *Keys) tokenKey() *secret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.token
}

func (k *Keys) addressKeys() []*secret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.address
}

// tokenKeyByID finds the key of a link. One that another node made since is read once.
func (k *Keys) tokenKeyByID(number uint32) (*secret, error) {
	k.mu.RLock()
	s := k.tokens[number]
	k.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	err := k.st.Read(ctx, id.System(id.Installation), func(ctx context.Context, tx *store.Tx) error { return k.loadTokens(ctx, tx) })
	if err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if s = k.tokens[number]; s == nil {
		return nil, errToken
	}
	return s, nil
}
