package bench_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carepost/carepost/internal/bench"
	"github.com/carepost/carepost/internal/caretest"
)

// asReceiver makes the test binary the receiving process of a measurement.
const asReceiver = "CAREPOST_TEST_RECEIVE"

func TestMain(m *testing.M) {
	if os.Getenv(asReceiver) != "" {
		if err := bench.Receive(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEveryMeasuredMessageArrives(t *testing.T) {
	for engine, dsn := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": postgres} {
		t.Run(engine, func(t *testing.T) {
			profile := filepath.Join(t.TempDir(), "cpu.pprof")
			r, err := bench.Send(t.Context(), bench.SendOptions{
				DSN: dsn(t), Messages: 60, Size: 8000, Connections: 4, Backlog: 20, Codes: 3, Profile: profile, Receiver: receiver(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Messages != 60 || r.Lost != 0 || r.InDoubt != 0 || r.PerS <= 0 || r.CPUS <= 0 || r.SigningShare <= 0 || r.PeakMB <= 0 {
				t.Errorf("%+v", r)
			}
			if r.Codes != 3 || r.CodeP50MS <= 0 || r.CodeP99MS < r.CodeP50MS {
				t.Errorf("codes: %+v", r)
			}
			if at, err := os.Stat(profile); err != nil || at.Size() == 0 {
				t.Errorf("no profile: %v", err)
			}
		})
	}
}

func TestWhatIsMeasuredIsAsLargeAsAsked(t *testing.T) {
	r, err := bench.Send(t.Context(), bench.SendOptions{Messages: 5, Size: 20000, Connections: 2, Receiver: receiver(t)})
	if err != nil || r.Lost != 0 {
		t.Fatal(r, err)
	}
	if r.Bytes < 19000 || r.Bytes > 21000 {
		t.Errorf("a message has %d bytes", r.Bytes)
	}
}

// postgres gives a database; what is only for a pool of connections, a single one does not know.
func postgres(t *testing.T) string {
	t.Helper()
	return strings.ReplaceAll(caretest.DSN(t), " pool_max_conns=12", "")
}

func receiver(t *testing.T) []string {
	t.Helper()
	t.Setenv(asReceiver, "1")
	return []string{os.Args[0]}
}
