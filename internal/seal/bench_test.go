package seal_test

import (
	"context"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/seal"
	"github.com/carepost/carepost/internal/store"
)

// bench runs a loop in one transaction of one organisation.
func bench(b *testing.B, loop func(ctx context.Context, tx *store.Tx, k *seal.Keys) error) {
	st := caretest.Open(b)
	k := reopened(b, st, newRing(b, time.Now()))
	b.ReportAllocs()
	write(b, st, 1, func(ctx context.Context, tx *store.Tx) error { return loop(ctx, tx, k) })
}

func BenchmarkSeal400(b *testing.B) {
	plain := make([]byte, 400)
	bench(b, func(ctx context.Context, tx *store.Tx, k *seal.Keys) error {
		for b.Loop() {
			if _, err := k.Seal(ctx, tx, seal.PurposeMessage, cell, plain); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkOpen400(b *testing.B) {
	bench(b, func(ctx context.Context, tx *store.Tx, k *seal.Keys) error {
		sealed, err := k.Seal(ctx, tx, seal.PurposeMessage, cell, make([]byte, 400))
		if err != nil {
			return err
		}
		for b.Loop() {
			if _, err := k.Open(ctx, tx, cell, sealed); err != nil {
				return err
			}
		}
		return nil
	})
}

// What a rebuild of the index pays for each person.
func BenchmarkSubjectUnwrapAndOpen400(b *testing.B) {
	bench(b, func(ctx context.Context, tx *store.Tx, k *seal.Keys) error {
		who := id.New[id.UUID]()
		key, wrapped, err := k.NewSubject(ctx, tx, who)
		if err != nil {
			return err
		}
		sealed, err := key.Seal(cell, make([]byte, 400))
		if err != nil {
			return err
		}
		for b.Loop() {
			key, err := k.Subject(ctx, tx, who, wrapped)
			if err != nil {
				return err
			}
			if _, err := key.Open(cell, sealed); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkNewSubject(b *testing.B) {
	bench(b, func(ctx context.Context, tx *store.Tx, k *seal.Keys) error {
		for b.Loop() {
			if _, _, err := k.NewSubject(ctx, tx, id.UUID{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkBlind(b *testing.B) {
	st := caretest.Open(b)
	k := reopened(b, st, newRing(b, time.Now()))
	write(b, st, 1, func(ctx context.Context, tx *store.Tx) error {
		_, err := k.Blind(ctx, tx, "email", "")
		return err
	})
	b.ReportAllocs()
	read(b, st, 1, func(ctx context.Context, tx *store.Tx) error {
		for b.Loop() {
			if _, err := k.Blind(ctx, tx, "email", "ada.lovelace@example.org"); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkToken(b *testing.B) {
	k := reopened(b, caretest.Open(b), newRing(b, time.Now()))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := k.OpenToken(seal.TokenHit, k.MintToken(seal.TokenHit, 1, id.UUID{1}, nil)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddress(b *testing.B) {
	k := reopened(b, caretest.Open(b), newRing(b, time.Now()))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := k.OpenAddress(seal.AddressBounce, k.MintAddress(seal.AddressBounce, 1, id.UUID{1})); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	bench(b, func(ctx context.Context, tx *store.Tx, k *seal.Keys) error {
		key, err := k.Month(ctx, tx, seal.PurposeLedger)
		for b.Loop() {
			key.MAC("leaf", cell.Row)
		}
		return err
	})
}
